#include "common/io/read_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/io/unique_fd.hpp"

namespace svc {
namespace {

constexpr std::size_t kPiece = 64U << 10U;
constexpr std::size_t kMiB = 1U << 20U;

Error system_error() {
  Error error = io_failed(std::generic_category().message(errno), "");
  if (errno == ENOENT) error.code = Errc::not_found;
  return error;
}

std::string size_text(std::size_t bytes) {
  return bytes % kMiB == 0 ? std::to_string(bytes / kMiB) + " MiB" : std::to_string(bytes) + " bytes";
}

/// Up to `max` bytes more; fewer at the end of the file.
Result<std::size_t> read_some(int fd, char* to, std::size_t max) {
  while (true) {
    const ::ssize_t got = ::read(fd, to, max);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return system_error();
  }
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error();
  std::string text;
  std::size_t size = 0;
  while (size <= max_bytes) {
    text.resize(std::min(std::max(size * 2, kPiece), max_bytes + 1));
    const auto got = read_some(fd.get(), text.data() + size, text.size() - size);
    if (!got) return got.error();
    size += *got;
    if (*got == 0) {
      text.resize(size);
      return text;
    }
  }
  return too_large("it is larger than " + size_text(max_bytes));
}

std::string why_unreadable(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error().message;
  char byte = 0;
  const auto got = read_some(fd.get(), &byte, 1);
  return got ? "" : got.error().message;
}

}  // namespace svc
