#include "agent/io/log_tail.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/io/log_files.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

Error cannot_watch(const std::string& path) {
  const int error = errno;
  const std::string cause = std::generic_category().message(error);
  return error == EMFILE || error == ENOSPC ? limit_exceeded("no more files can be watched at present: " + cause)
                                            : io_failed("cannot watch the log '" + path + "'", cause);
}

/// By its descriptor: its name may belong to another file by now.
int watch_file(int inotify, const LogSource& file) {
  return ::inotify_add_watch(inotify, ("/proc/self/fd/" + std::to_string(file.fd())).c_str(), IN_MODIFY);
}

}  // namespace

Error disk_does_not_answer() { return unavailable("the disk of the log does not answer"); }

Result<std::string> last_lines(const std::string& path, std::size_t lines) {
  auto newest = LogSource::open(path);
  if (!newest) {
    return newest.error();
  }
  const LogSource file = *newest ? *std::move(*newest) : LogSource();
  return lines_before(path, file, file.size(), lines);
}

/// What may wait for the disk; the worker's while it works on it.
struct LogFollower::Files {
  explicit Files(std::string of) : path(std::move(of)) {}

  Result<void> watch_folder();
  Result<void> begin(std::size_t lines);
  std::string read_more();
  std::string read_source();
  LogSource successor() const;
  void take(LogSource file);

  std::string path;
  UniqueFd inotify;
  LogSource source;          ///< what is read, under whatever name it has now
  int watch = -1;            ///< of the source
  std::uint64_t offset = 0;  ///< in the source
  std::string before;        ///< the lines that were there
};

Result<void> LogFollower::Files::watch_folder() {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    return cannot_watch(path);
  }
  inotify.reset(fd);
  auto folder = std::filesystem::path(path).parent_path().string();
  folder = folder.empty() ? "." : folder;
  if (::inotify_add_watch(fd, folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return cannot_watch(path);
  }
  return {};
}

Result<void> LogFollower::Files::begin(std::size_t lines) {
  auto opened = LogSource::open(path);
  if (!opened) {
    return opened.error();
  }
  if (*opened) {
    take(*std::move(*opened));
    offset = source.size();
  }
  auto text = lines == 0 ? Result<std::string>(std::string()) : lines_before(path, source, offset, lines);
  if (!text) {
    return text.error();
  }
  before = *std::move(text);
  return {};
}

void LogFollower::Files::take(LogSource file) {
  if (watch >= 0) {
    ::inotify_rm_watch(inotify.get(), watch);  // it may have gone with its file
  }
  source = std::move(file);
  offset = 0;
  watch = watch_file(inotify.get(), source);
}

// Names only ever move up by one, so going upwards meets every file at least once. Above the source is what came after
// it. A source that was removed is not met: then it is the oldest file that was written to later.
LogSource LogFollower::Files::successor() const {
  LogSource newer;
  for (unsigned n = 0, missing = 0; missing < 2; ++n) {
    auto opened = LogSource::open(rotated_name(path, n));
    if (!opened || (!*opened && n == 0)) {
      break;
    }
    if (!*opened) {
      ++missing;  // in the middle of a rotation one name is
      continue;
    }
    LogSource file = *std::move(*opened);
    if (!source.is_open() || file.same_as(source)) {
      return source.is_open() ? std::move(newer) : std::move(file);
    }
    if (file.modified() < source.modified()) {
      break;
    }
    newer = std::move(file);
  }
  return newer;
}

std::string LogFollower::Files::read_source() {
  if (!source.is_open()) {
    return {};
  }
  if (source.size() < offset) {
    offset = 0;  // truncated
  }
  auto text = source.read(offset, kPieceBytes);
  offset += text.size();
  return text;
}

// A file is left when the next one has something in it: until then its writer may not have noticed that it was renamed.
std::string LogFollower::Files::read_more() {
  std::string text = read_source();
  while (text.empty()) {
    LogSource next = successor();
    if (!next.is_open()) {
      break;
    }
    if (source.is_open()) {
      watch_file(inotify.get(), next);
      text = next.size() == 0 ? std::string() : read_source();
      if (!text.empty() || next.size() == 0) {
        break;
      }
    }
    take(std::move(next));
    text = read_source();
  }
  return text;
}

/// The event loop's.
struct LogFollower::Impl {
  Impl(asio::any_io_executor executor, BlockingWorker& with, std::shared_ptr<Files> of, int inotify)
      : worker(with), files(std::move(of)), changes(executor, inotify), reading(std::make_shared<Timer>(executor)) {}

  BlockingWorker& worker;
  std::shared_ptr<Files> files;
  asio::posix::stream_descriptor changes;  ///< a duplicate: the worker may still have the other one
  std::shared_ptr<Timer> reading;
  std::string before;
  bool stopped = false;
};

asio::awaitable<Result<std::unique_ptr<LogFollower>>> LogFollower::open(asio::any_io_executor executor,
                                                                        BlockingWorker& worker, std::string path,
                                                                        std::size_t lines, Deadline deadline) {
  auto files = std::make_shared<Files>(std::move(path));
  std::function<Result<void>()> work = [files, lines] {
    auto ready = files->watch_folder();
    return ready ? files->begin(lines) : ready;
  };
  const std::optional<Result<void>> ready = co_await worker.run(deadline, std::move(work));
  if (!ready) {
    co_return disk_does_not_answer();
  }
  if (!*ready) {
    co_return ready->error();
  }
  const int duplicate = ::fcntl(files->inotify.get(), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    co_return cannot_watch(files->path);
  }
  auto impl = std::make_unique<Impl>(std::move(executor), worker, std::move(files), duplicate);
  impl->before = std::exchange(impl->files->before, {});
  co_return std::unique_ptr<LogFollower>(new LogFollower(std::move(impl)));
}

LogFollower::LogFollower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogFollower::~LogFollower() = default;

asio::awaitable<std::string> LogFollower::next() {
  Impl& my = *impl_;
  std::string text = std::exchange(my.before, {});
  while (text.empty() && !my.stopped) {
    std::function<std::string()> work = [files = my.files] { return files->read_more(); };
    auto read = co_await my.worker.run(Deadline::never(), std::move(work), my.reading);
    if (!read || my.stopped) {
      break;
    }
    text = *std::move(read);
    if (!text.empty()) {
      break;
    }
    auto [ec] = co_await my.changes.async_wait(asio::posix::stream_descriptor::wait_read, kTok);
    if (ec) {
      break;
    }
    std::array<char, 4096> events;
    while (::read(my.changes.native_handle(), events.data(), events.size()) > 0) {
      // What happened is seen from the files.
    }
  }
  co_return text;
}

void LogFollower::stop() {
  impl_->stopped = true;
  impl_->before.clear();
  impl_->reading->cancel();
  error_code ignored;
  impl_->changes.cancel(ignored);
}

}  // namespace svc::agent
