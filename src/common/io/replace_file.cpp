#include "common/io/replace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace svc {
namespace {

std::string errno_text() { return std::generic_category().message(errno); }

/// write, fsync, close. "" when all went well.
std::string write_synced(const std::string& path, std::string_view text, ::mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return errno_text();
  std::string problem;
  while (!text.empty() && problem.empty()) {
    const ::ssize_t written = ::write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written == 0 || errno != EINTR) {
      problem = written == 0 ? "nothing could be written" : errno_text();
    }
  }
  if (problem.empty() && ::fsync(fd) != 0) problem = errno_text();
  if (::close(fd) != 0 && problem.empty()) problem = errno_text();
  return problem;
}

std::string partial_of(const std::string& path) {
  static std::atomic<unsigned> count{0};
  return path + '.' + std::to_string(::getpid()) + '.' + std::to_string(++count) + ".new";
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text, ::mode_t mode) {
  const std::string partial = partial_of(path);
  std::string problem = write_synced(partial, text, mode);
  if (problem.empty() && std::rename(partial.c_str(), path.c_str()) != 0) problem = errno_text();
  if (problem.empty()) return {};
  (void)std::remove(partial.c_str());
  return io_failed("cannot write '" + path + "'", std::move(problem));
}

}  // namespace svc
