// What requests did, counted where they happen: each data thread writes its own numbers without a lock or an atomic
// read-modify-write, any thread reads them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "router/core/failure_reason.hpp"

namespace svc::router {

/// Single writer.
class Tally {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Times in buckets that double from 1 ms to 524 s (the last one holds the rest). Single writer.
class TimeTally {
 public:
  static constexpr std::size_t kBounds = 20;
  static constexpr std::array<double, kBounds> kUpperSeconds = {0.001,  0.002,  0.004,  0.008,   0.016,   0.032,  0.064,
                                                                0.128,  0.256,  0.512,  1.024,   2.048,   4.096,  8.192,
                                                                16.384, 32.768, 65.536, 131.072, 262.144, 524.288};
  void observe(Duration time);
  /// `times` times at once: the pieces of one read.
  [[nodiscard]] std::uint64_t in_bucket(std::size_t index) const { return buckets_[index].value(); }  ///< 0..kBounds
  [[nodiscard]] double sum_seconds() const { return static_cast<double>(sum_ns_.value()) * 1e-9; }
  [[nodiscard]] std::uint64_t count() const;

 private:
  std::array<Tally, kBounds + 1> buckets_;
  Tally sum_ns_;
};

/// Of one model on one instance, by one thread.
struct Series {
  explicit Series(std::string name) : model(std::move(name)) {}
  const std::string model;
  Tally requests;                ///< attempts that this upstream was chosen for
  Tally retries;                 ///< of these, beyond a request's first
  std::array<Tally, 6> answers;  ///< [status / 100]; [0] = none
  std::array<Tally, kFailureReasons> failures;
  TimeTally first_byte, between_chunks, whole;
  TimeTally queue_time;  ///< of requests that waited before this upstream took them
  Tally prompt_tokens, cached_tokens, completion_tokens;
  Tally bytes_to_client;
  std::atomic<Series*> next{nullptr};
};

/// The series of one thread of one instance. Appended to by that thread; read by any.
class SeriesList {
 public:
  SeriesList() = default;
  ~SeriesList();
  SeriesList(const SeriesList&) = delete;
  SeriesList& operator=(const SeriesList&) = delete;
  /// The owning thread. Beyond kMost models all others share the series "other".
  Series& of(std::string_view model);
  [[nodiscard]] const Series* first() const { return first_.load(std::memory_order_acquire); }

  static constexpr std::size_t kMost = 64;

 private:
  std::atomic<Series*> first_{nullptr};
  Series* last_ = nullptr;
  std::size_t count_ = 0;
};

/// Of one data thread, over all upstreams.
struct ThreadStats {
  Tally requests, own_requests;
  Tally connections_accepted, connections_refused;
  std::atomic<std::int64_t> connections_open{0};
  std::atomic<std::int64_t> requests_active{0};
  std::atomic<std::int64_t> buffered_bytes{0};
  Tally upstream_connects, upstream_reuses;
  Tally retries, retries_denied;  ///< denied: by the budget
  Tally panic_picks, backup_picks;
  Tally client_gone;
  std::array<Tally, kFailureReasons> refusals;  ///< answers of the router's own, by reason
  TimeTally queue_time, hold_time, pick_to_first_byte;
  Tally attempts;
};

}  // namespace svc::router
