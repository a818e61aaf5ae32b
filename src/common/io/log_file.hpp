// The log file: append whole lines, rotate by size. spdlog's own rotating sink is not used because a failed rename
// makes it sleep 100 ms and empty the log, and a failed open leaves it with a null file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

/// Not thread-safe. Every line is one write(2), so nothing is lost when the process is killed.
class LogFile {
 public:
  /// Creates the folder and the file (mode 0640) or appends. max_bytes 0: never rotates; nor does anything that is not
  /// a regular file (/dev/stdout, a pipe).
  static Result<std::unique_ptr<LogFile>> open(std::string path, std::uint64_t max_bytes, unsigned max_files);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// `line` with its line end. False: it could not be written whole (disk full); the rest of it is dropped and the next
  /// line starts on a line of its own. A rotation that fails is put off for another max_bytes and costs no line.
  [[nodiscard]] bool write(std::string_view line);

  /// Opens the path anew. On error the old file stays open.
  Result<void> reopen();

 private:
  LogFile(std::string path, std::uint64_t max_bytes, unsigned max_files);
  void rotate();

  std::string path_;
  std::uint64_t max_bytes_;
  unsigned max_files_;
  int fd_ = -1;
  bool regular_ = false;
  bool torn_ = false;  // the last line lacks its end
  std::uint64_t size_ = 0;
  std::uint64_t rotate_above_ = 0;
};

}  // namespace svc
