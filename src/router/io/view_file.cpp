#include "router/io/view_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/io/read_file.hpp"
#include "common/io/replace_file.hpp"
#include "router/core/fleet.hpp"
#include "router/core/service_record.hpp"

namespace svc::router {
namespace {

constexpr Duration kConfirmEvery = std::chrono::seconds(10);
constexpr std::size_t kMaxViewBytes = std::size_t{256} << 20U;

WallTime confirmed_at(const KeptView& view, const std::string& path) {
  const auto saved = WallTime(std::chrono::microseconds(view.saved_at_us));
  struct ::stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return saved;
  const auto touched = std::chrono::seconds(facts.st_mtim.tv_sec) + std::chrono::nanoseconds(facts.st_mtim.tv_nsec);
  return std::max(saved, WallTime(std::chrono::duration_cast<std::chrono::microseconds>(touched)));
}

}  // namespace

/// The thread. At most one view waits: a newer one takes its place.
class ViewFile::Writer {
 public:
  Writer(std::string folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void write(KeptView view) {
    {
      const std::lock_guard lock(mutex_);
      pending_ = std::move(view);
    }
    wake_.notify_one();
  }
  void touch() {
    {
      const std::lock_guard lock(mutex_);
      touch_ = true;
    }
    wake_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || touch_ || pending_; });
      if (!pending_ && !touch_) return;
      touch_ = false;
      const auto view = std::exchange(pending_, std::nullopt);
      lock.unlock();
      if (view) {
        store(*view);
      } else {
        (void)::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
      }
      lock.lock();
      if (!stopping_) wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; });
    }
  }

  void store(const KeptView& view) {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);
    const auto written = replace_file(path_, encode_view(view));
    const std::string problem = written ? "" : written.error().cause;
    if (problem != last_problem_) {
      if (problem.empty()) {
        log_.info("the view of the registry can be kept on disk again", {{"file", path_}});
      } else {
        log_.error("the view of the registry cannot be kept on disk", {{"file", path_}, {"error", problem}});
      }
    }
    last_problem_ = problem;
  }

  const std::string folder_;
  const std::string path_;
  Logger log_{"discovery"};
  std::string last_problem_;  // the thread's
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<KeptView> pending_;
  bool touch_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

ViewFile::ViewFile(const std::string& state_dir, std::string registry_url)
    : folder_(state_dir),
      path_(state_dir.empty() ? "" : (std::filesystem::path(state_dir) / "router_view.json").string()),
      registry_url_(std::move(registry_url)) {}

ViewFile::~ViewFile() { stop(); }

std::optional<ViewFile::Loaded> ViewFile::load() {
  if (path_.empty()) return std::nullopt;
  const auto text = read_file(path_, kMaxViewBytes);
  if (!text && text.error().code == Errc::not_found) return std::nullopt;
  if (!text && text.error().code != Errc::too_large) {
    log_.error("the kept view cannot be read", {{"file", path_}, {"error", text.error().message}});
    return std::nullopt;
  }
  auto view = text ? decode_view(*text) : Result<KeptView>(text.error());
  if (!view) {
    const std::string aside = path_ + ".damaged";
    const bool moved = std::rename(path_.c_str(), aside.c_str()) == 0;
    log_.error("the kept view was damaged and is not used",
               {{"file", path_}, {"error", view.error().to_string()}, {"moved_to", moved ? aside : "nowhere"}});
    return std::nullopt;
  }
  if (view->registry_url != registry_url_) {
    log_.warn("the kept view is of another registry and is not used",
              {{"file", path_}, {"registry", view->registry_url}});
    return std::nullopt;
  }
  Loaded loaded;
  loaded.specs = std::move(view->specs);
  loaded.age = std::max(Duration(wall_now() - confirmed_at(*view, path_)), Duration::zero());
  written_ = true;
  return loaded;
}

void ViewFile::tick(const Fleet& fleet) {
  const TimePoint now = steady_now();
  const bool confirm = confirmed_ && written_ && now - confirmed_at_ >= kConfirmEvery;
  if (path_.empty() || stopped_ || !(changed_ || confirm)) return;
  if (!writer_) writer_ = std::make_unique<Writer>(folder_, path_);
  if (changed_) {
    writer_->write({registry_url_, wall_now().time_since_epoch().count(), fleet.registry_specs()});
  } else {
    writer_->touch();
  }
  written_ = true;
  changed_ = false;
  confirmed_ = false;
  confirmed_at_ = now;
}

void ViewFile::stop(const Fleet& fleet) {
  tick(fleet);
  stop();
}

void ViewFile::stop() {
  stopped_ = true;
  writer_.reset();
}

}  // namespace svc::router
