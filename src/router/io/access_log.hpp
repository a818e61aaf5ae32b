// The access log: one line per finished request, in the log file beside the daemon's other lines. Data threads only
// copy a record into memory (no lock that is held for long, no system call but one wake-up per batch); a thread of
// its own makes the lines and writes many of them at once. When the writer cannot keep up, lines are dropped and
// counted: a full disk must not slow a request down.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/failure_reason.hpp"

namespace svc::router {

/// Views need to live until push() returns. Empty texts and negative times are left out of the line.
struct AccessRecord {
  std::string_view request_id;
  std::string_view client;    ///< address
  std::string_view key_name;  ///< of the API key; never the key
  std::string_view method;
  std::string_view path;  ///< with the query, as it came
  std::string_view model;
  int status = 0;  ///< what the client was sent; 499 for one that left, 0 for a cut answer's missing one
  FailureReason reason = FailureReason::none;
  std::string_view upstream;
  unsigned attempts = 0;
  Duration queue_time{-1}, first_byte{-1}, total{-1};
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of bodies
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  double matched_tokens = -1, candidates = 0;  ///< of a choice by prefix: estimates; -1 = there was none
  Duration predicted{-1};                      ///< the same: time to the first byte
  std::string_view priority;
  std::string_view prefix;    ///< hashes of the prompt's beginning, for replays
  std::uint64_t session = 0;  ///< the same: hash of what the client calls its session; 0 = it does not
  bool stream = false;
};

enum class AccessLogForm : std::uint8_t { off, text, json };
/// "off", "text", "json"; anything else is off.
[[nodiscard]] AccessLogForm parse_access_log_form(std::string_view name);

class AccessLog {
 public:
  /// `lanes`: one per data thread. `lane_bytes`: how much of a lane may wait for the writer.
  explicit AccessLog(std::size_t lanes, std::size_t lane_bytes = 1U << 20U);
  ~AccessLog();  ///< stops
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Any thread, at any time. `sample` 0..1: the share of successful requests that is logged (those with a reason or
  /// a status of 400 and more always are).
  void configure(AccessLogForm form, double sample);
  /// Starts the writer. Without it records wait in their lanes.
  void start();
  /// Writes what is waiting and ends the writer. No push() may come later.
  void stop();

  /// Spares the caller making a record: false when the log is off or the sample leaves this request out.
  [[nodiscard]] bool wants(int status, FailureReason reason, std::uint64_t random) const;
  /// From the lane's own thread. Does not ask wants(). Never blocks on the writer's output.
  void push(std::size_t lane, const AccessRecord& record);

  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t written() const { return written_.load(std::memory_order_relaxed); }

 private:
  struct Lane;
  void run();
  void drain(std::string& batch, std::string& lines);
  void wake();

  const std::size_t lane_bytes_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<AccessLogForm> form_{AccessLogForm::off};
  std::atomic<std::uint64_t> sample_below_{~std::uint64_t{0}};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> written_{0};

  std::mutex lock_;
  std::condition_variable wake_;
  bool pending_ = false;   // under lock_
  bool stopping_ = false;  // under lock_
  std::thread writer_;
};

/// One line of the log, with its line end. For the writer and its tests.
void append_access_line(std::string& out, WallTime when, const AccessRecord& record, AccessLogForm form);

}  // namespace svc::router
