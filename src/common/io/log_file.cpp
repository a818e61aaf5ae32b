#include "common/io/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace svc {
namespace {

bool write_all(int fd, std::string_view text, std::uint64_t& size) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    size += static_cast<std::uint64_t>(n);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

LogFile::LogFile(std::string path, std::uint64_t max_bytes, unsigned max_files)
    : path_(std::move(path)), max_bytes_(max_bytes), max_files_(max_files) {}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<LogFile>> LogFile::open(std::string path, std::uint64_t max_bytes, unsigned max_files) {
  std::unique_ptr<LogFile> file(new LogFile(std::move(path), max_bytes, max_files));
  if (auto opened = file->reopen(); opened.has_error()) return opened.error();
  return file;
}

Result<void> LogFile::reopen() {
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  std::error_code failure;
  if (!folder.empty()) std::filesystem::create_directories(folder, failure);
  if (failure) return io_failed("cannot create the folder of log file '" + path_ + "'", failure.message());

  // O_NONBLOCK: a pipe without a reader is an error at once instead of a start that hangs; then writes wait as usual.
  const int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
  struct stat facts {};
  if (fd < 0 || ::fstat(fd, &facts) != 0) {
    const std::string cause = std::generic_category().message(errno);
    if (fd >= 0) ::close(fd);
    return io_failed("cannot open log file '" + path_ + "'", cause);
  }
  ::fcntl(fd, F_SETFL, O_APPEND);
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  torn_ = false;
  regular_ = S_ISREG(facts.st_mode);
  size_ = regular_ ? static_cast<std::uint64_t>(facts.st_size) : 0;
  rotate_above_ = max_bytes_;
  return {};
}

bool LogFile::write(std::string_view line) {
  if (max_bytes_ != 0 && regular_ && size_ != 0 && size_ + line.size() > rotate_above_) rotate();
  if (torn_ && !write_all(fd_, "\n", size_)) return false;
  torn_ = false;
  const std::uint64_t before = size_;
  if (write_all(fd_, line, size_)) return true;
  torn_ = size_ != before;
  return false;
}

void LogFile::rotate() {
  const auto name = [this](unsigned n) { return path_ + "." + std::to_string(n); };
  bool moved = true;
  if (max_files_ == 0) {
    moved = ::unlink(path_.c_str()) == 0 || errno == ENOENT;
  } else {
    for (unsigned n = max_files_; n > 1; --n) {
      // A missing number is usual: not that many files were written yet.
      (void)std::rename(name(n - 1).c_str(), name(n).c_str());
    }
    moved = std::rename(path_.c_str(), name(1).c_str()) == 0 || errno == ENOENT;
  }
  if (!moved || reopen().has_error()) {
    // Trying again at every line would push the older files out; what matters is to go on writing.
    rotate_above_ = size_ + max_bytes_;
  }
}

}  // namespace svc
