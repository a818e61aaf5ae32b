#include "agent/io/log_tail.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/io/log_files.hpp"

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

Result<std::string> last_lines(const std::string& path, std::size_t lines) {
  auto newest = LogSource::open(path);
  if (!newest) {
    return newest.error();
  }
  const LogSource file = *newest ? *std::move(*newest) : LogSource();
  return lines_before(path, file, file.size(), lines);
}

struct LogFollower::Impl {
  Impl(asio::any_io_executor executor, std::string of) : path(std::move(of)), inotify(executor) {}

  Result<void> watch_folder();
  Result<void> begin(std::size_t lines);
  std::string read_more();
  std::string read_source();
  LogSource successor() const;
  void take(LogSource file);

  std::string path;
  asio::posix::stream_descriptor inotify;
  LogSource source;          ///< what is read, under whatever name it has now
  int watch = -1;            ///< of the source
  std::uint64_t offset = 0;  ///< in the source
  std::string before;        ///< the lines that were there
  bool stopped = false;
};

Result<void> LogFollower::Impl::watch_folder() {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    return cannot_watch(path);
  }
  inotify.assign(fd);
  auto folder = std::filesystem::path(path).parent_path().string();
  folder = folder.empty() ? "." : folder;
  if (::inotify_add_watch(fd, folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return cannot_watch(path);
  }
  return {};
}

Result<void> LogFollower::Impl::begin(std::size_t lines) {
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

void LogFollower::Impl::take(LogSource file) {
  if (watch >= 0) {
    ::inotify_rm_watch(inotify.native_handle(), watch);  // it may have gone with its file
  }
  source = std::move(file);
  offset = 0;
  watch = watch_file(inotify.native_handle(), source);
}

// Names only ever move up by one, so going upwards meets every file at least once. Above the source is what came after
// it. A source that was removed is not met: then it is the oldest file that was written to later.
LogSource LogFollower::Impl::successor() const {
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

std::string LogFollower::Impl::read_source() {
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
std::string LogFollower::Impl::read_more() {
  std::string text = read_source();
  while (text.empty()) {
    LogSource next = successor();
    if (!next.is_open()) {
      break;
    }
    if (source.is_open()) {
      watch_file(inotify.native_handle(), next);
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

Result<std::unique_ptr<LogFollower>> LogFollower::open(asio::any_io_executor executor, std::string path,
                                                       std::size_t lines) {
  auto impl = std::make_unique<Impl>(std::move(executor), std::move(path));
  auto ready = impl->watch_folder();
  if (ready) {
    ready = impl->begin(lines);
  }
  if (!ready) {
    return ready.error();
  }
  return std::unique_ptr<LogFollower>(new LogFollower(std::move(impl)));
}

LogFollower::LogFollower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogFollower::~LogFollower() = default;

asio::awaitable<std::string> LogFollower::next() {
  Impl& my = *impl_;
  std::string text = std::exchange(my.before, {});
  while (text.empty() && !my.stopped) {
    text = my.read_more();
    if (!text.empty()) {
      break;
    }
    auto [ec] = co_await my.inotify.async_wait(asio::posix::stream_descriptor::wait_read, kTok);
    if (ec) {
      break;
    }
    std::array<char, 4096> events;
    while (::read(my.inotify.native_handle(), events.data(), events.size()) > 0) {
      // What happened is seen from the files.
    }
  }
  co_return text;
}

void LogFollower::stop() {
  impl_->stopped = true;
  impl_->before.clear();
  error_code ignored;
  impl_->inotify.cancel(ignored);
}

}  // namespace svc::agent
