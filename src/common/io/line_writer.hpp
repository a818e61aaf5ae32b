// Lines to a file whose disk may hang: a thread of its own does all that can wait for the disk, whoever adds lines
// never does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/line_queue.hpp"
#include "common/core/result.hpp"
#include "common/io/disk_thread.hpp"

namespace svc {

/// The file behind a LineWriter. Everything but the construction happens on the writer's thread, the destruction too
/// once that was started.
class LineSink {
 public:
  LineSink() = default;
  virtual ~LineSink() = default;
  LineSink(const LineSink&) = delete;
  LineSink& operator=(const LineSink&) = delete;

  /// Writes the lines, and before them that `lost_before` are missing. May take for ever.
  virtual void write(const LineBatch& batch) = 0;
  /// Opens the file anew. On an error the old one stays.
  virtual Result<void> reopen() = 0;
  /// Lines of batches that could not be written; those that never came here are not counted.
  [[nodiscard]] virtual std::uint64_t lines_lost() const = 0;
  /// The newest lines could not be written.
  [[nodiscard]] virtual bool failing() const = 0;
};

/// From the thread that owns it, unless said otherwise.
class LineWriter {
 public:
  /// `source_bytes`: how much of each source may wait (LineQueue). `on_news`: called on the writer's thread when lost()
  /// or failing() have changed there, a disk answers that was stuck, or there is room again after hold_until() has asked
  /// for a pause; it must neither wait nor call back.
  LineWriter(std::unique_ptr<LineSink> sink, std::size_t source_bytes, std::function<void()> on_news = {});
  /// Ends the thread; waits no longer for the disk than finish() did.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// Begins to write; lines wait until then. The thread takes no signals. A process that forks without exec, or relies
  /// on being alone, does that before. False: there can be no thread at present; may be called again.
  bool start();

  /// From any thread. `line` with its end. Call wake() when there is nothing more to add for now.
  void add(std::size_t source, WallTime at, std::string_view line);
  /// From any thread.
  void wake();
  /// Opens the file anew as soon as the disk answers; waits for that at most so long. Error: it could not be opened, or
  /// the disk did not answer (retryable).
  Result<void> reopen(Duration patience);
  /// The same; what becomes of it is told to nobody.
  void reopen_later();

  /// Lines that are not in the file, and will not be.
  [[nodiscard]] std::uint64_t lost() const;
  /// The newest lines could not be written, or lines are dropped because the disk is too slow for them.
  [[nodiscard]] bool failing() const;
  /// When the disk will count as stuck if what is under way has not ended by then; TimePoint::max(): nothing is.
  [[nodiscard]] TimePoint stuck_at() const;

  /// Whoever can wait a little adds nothing until then, or until there are news: the disk works, and is slower than the
  /// lines come. In the past: it need not wait; so too when the disk has been silent for kHoldFor, or has been behind for
  /// kHoldInAll.
  [[nodiscard]] TimePoint hold_until() const;

  /// Writes what waits and ends the thread, within `patience`; no line may be added after it. False: the disk did not
  /// answer in time, and what waits is lost. The thread stays behind then, and the process can only be left by _exit or
  /// with nothing that the sink uses being destroyed.
  bool finish(Duration patience);

  /// A disk that has been silent for so long is stuck.
  static constexpr Duration kStuckAfter{std::chrono::seconds(5)};
  /// The longest pause for one piece of work of the disk.
  static constexpr Duration kHoldFor{std::chrono::milliseconds(200)};
  /// From when lines came faster than the disk took them: then no more pauses until it has caught up.
  static constexpr Duration kHoldInAll{std::chrono::seconds(2)};

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // the thread has it too, and may outlive this object
  DiskThread thread_;
};

}  // namespace svc
