// The files of one rotated log: FILE, FILE.1, FILE.2 ... Blocking reads of regular files.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/core/result.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

/// One of them, open for reading, under whatever name it has now. Movable.
class LogSource {
 public:
  /// nullopt: there is no such file (any more). Error: it cannot be opened, or is not a regular file.
  static Result<std::optional<LogSource>> open(const std::string& path);

  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint64_t size() const;
  /// When it was written to last, in nanoseconds since 1970.
  [[nodiscard]] std::int64_t modified() const;
  /// The same file, whatever it is called now?
  [[nodiscard]] bool same_as(const LogSource& other) const;
  /// Up to `bytes` from `offset` on; "" at the end or when it cannot be read.
  [[nodiscard]] std::string read(std::uint64_t offset, std::size_t bytes) const;
  /// Whole lines up to `end`: the last `lines` of them, in at most `bytes`. Counts both down by what it gives; `bytes` is 0 when
  /// another line would not have fitted.
  [[nodiscard]] std::string lines_before(std::uint64_t end, std::size_t& lines, std::size_t& bytes) const;

 private:
  UniqueFd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// The name of the file that was rotated `n` times; 0 is `path` itself.
[[nodiscard]] std::string rotated_name(const std::string& path, unsigned n);

/// The last lines up to `end` of `newest` (path itself, if it is open), and before them those of the rotated files.
[[nodiscard]] Result<std::string> lines_before(const std::string& path, const LogSource& newest, std::uint64_t end,
                                               std::size_t lines);

}  // namespace svc::agent
