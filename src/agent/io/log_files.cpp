#include "agent/io/log_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <system_error>
#include <utility>

#include "agent/io/log_tail.hpp"

namespace svc::agent {
namespace {

constexpr std::size_t kBlockBytes = 64U * 1024;

}  // namespace

Result<std::optional<LogSource>> LogSource::open(const std::string& path) {
  LogSource source;
  // O_NONBLOCK: what is not a regular file must not hold anybody up before it is refused.
  source.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!source.fd_ && errno == ENOENT) {
    return std::optional<LogSource>();
  }
  struct stat facts {};
  if (!source.fd_ || ::fstat(source.fd_.get(), &facts) != 0) {
    return io_failed("cannot read the log file '" + path + "'", std::generic_category().message(errno));
  }
  if (!S_ISREG(facts.st_mode)) {
    return io_failed("the log '" + path + "' is not a regular file", "");
  }
  source.device_ = facts.st_dev;
  source.inode_ = facts.st_ino;
  return std::optional<LogSource>(std::move(source));
}

std::uint64_t LogSource::size() const {
  struct stat facts {};
  return fd_ && ::fstat(fd_.get(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

std::int64_t LogSource::modified() const {
  struct stat facts {};
  return ::fstat(fd_.get(), &facts) == 0 ? facts.st_mtim.tv_sec * 1'000'000'000 + facts.st_mtim.tv_nsec : 0;
}

bool LogSource::same_as(const LogSource& other) const {
  return is_open() && other.is_open() && device_ == other.device_ && inode_ == other.inode_;
}

std::string LogSource::read(std::uint64_t offset, std::size_t bytes) const {
  std::string text(bytes, '\0');
  ssize_t n = -1;
  do {
    n = ::pread(fd_.get(), text.data(), bytes, static_cast<off_t>(offset));
  } while (n < 0 && errno == EINTR);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

std::string LogSource::lines_before(std::uint64_t end, std::size_t& lines, std::size_t& bytes) const {
  std::deque<std::string> blocks;
  std::size_t held = 0;
  std::size_t ends = 0;  // line ends seen; the first one of the text closes the last line wanted
  while (end > 0 && held < bytes && ends <= lines) {
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, end));
    end -= length;
    blocks.push_front(read(end, length));
    held += blocks.front().size();
    ends += static_cast<std::size_t>(std::count(blocks.front().begin(), blocks.front().end(), '\n'));
  }
  std::string text;
  text.reserve(held);
  for (const auto& block : blocks) {
    text += block;
  }
  if (!text.empty() && !text.ends_with('\n')) {
    text += '\n';  // a line whose end could not be written
  }
  std::size_t begin = text.size();
  bool room = true;
  while (begin > 0 && lines > 0 && room) {
    const auto before = begin < 2 ? std::string::npos : text.rfind('\n', begin - 2);
    const std::size_t start = before == std::string::npos ? 0 : before + 1;
    room = (before != std::string::npos || end == 0) && text.size() - start <= bytes;
    if (room) {
      begin = start;
      --lines;
    }
  }
  text.erase(0, begin);
  bytes = room ? bytes - text.size() : 0;
  return text;
}

std::string rotated_name(const std::string& path, unsigned n) { return n == 0 ? path : path + "." + std::to_string(n); }

Result<std::string> lines_before(const std::string& path, const LogSource& newest, std::uint64_t end,
                                 std::size_t lines) {
  lines = std::min(lines, kMaxTailLines);
  std::size_t bytes = kMaxTailBytes;
  std::string text = newest.is_open() ? newest.lines_before(end, lines, bytes) : std::string();
  LogSource last;
  // In the middle of a rotation one name is missing.
  for (unsigned n = 1, missing = 0; lines > 0 && bytes > 0 && missing < 2; ++n) {
    auto opened = LogSource::open(rotated_name(path, n));
    if (!opened) {
      return opened.error();
    }
    if (!*opened) {
      ++missing;
      continue;
    }
    LogSource older = *std::move(*opened);
    if (!older.same_as(newest) && !older.same_as(last)) {  // else it was renamed while we were reading
      text.insert(0, older.lines_before(older.size(), lines, bytes));
      last = std::move(older);
    }
  }
  return text;
}

}  // namespace svc::agent
