// The end of an engine's log, across its rotated files, and what is added to it from then on.
//
// The files belong to somebody else, who appends whole lines, renames FILE to FILE.1 (and that to FILE.2 ...) and begins a new
// FILE. Nothing here holds lines for later: a follower that is slow reads on where it was, in the renamed file if need be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"
#include "common/io/blocking_worker.hpp"

namespace svc::agent {

inline constexpr std::size_t kMaxTailLines = 10'000;
inline constexpr std::size_t kMaxTailBytes = 8U << 20U;

/// unavailable: what is answered instead of lines while it hangs.
[[nodiscard]] Error disk_does_not_answer();

/// The last `lines` lines (at most the limits above), oldest first, each with its line end. Where `path` has too few, those
/// of path.1, path.2 ... before them. A missing file counts as empty. Reads backwards, no more than is needed; blocks for
/// some milliseconds at the limits, and for as long as the disk hangs. Error: a file is there and cannot be read.
[[nodiscard]] Result<std::string> last_lines(const std::string& path, std::size_t lines);

/// What is appended, for one reader. From the thread of the event loop; what may wait for the disk is done by a worker,
/// which must outlive it. Costs three descriptors and at most one piece of memory.
class LogFollower {
 public:
  static constexpr std::size_t kPieceBytes = 64U * 1024;

  /// Follows from the present end on, which need not exist yet; `lines` > 0: from that many lines before it on, as last_lines()
  /// gives them, without a gap or an overlap. Error: the folder does not exist, no more files can be watched, a file cannot be read,
  /// the disk does not answer until the deadline.
  static asio::awaitable<Result<std::unique_ptr<LogFollower>>> open(asio::any_io_executor executor,
                                                                    BlockingWorker& worker, std::string path,
                                                                    std::size_t lines, Deadline deadline);
  ~LogFollower();
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;

  /// Waits until there is something. "" after stop(). Survives rotation without a loss (unless the reader is so slow that the
  /// file it reads from is removed in the meantime: then it goes on with the oldest there is) and truncation, after which it
  /// begins at the new beginning. Waits for a disk that hangs. One caller at a time.
  asio::awaitable<std::string> next();
  void stop();

 private:
  struct Files;
  struct Impl;
  explicit LogFollower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace svc::agent
