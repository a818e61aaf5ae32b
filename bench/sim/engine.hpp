// The engine's scheduler: a FIFO of requests, a batch, steps that take time, and a KV cache that admits. As the real
// one: prefill goes before decode, the head of the queue blocks those behind it, one that can never fit goes
// to the back. One thread; time comes from a timerfd.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/routing/engine_model.hpp"
#include "bench/sim/alarm.hpp"
#include "bench/sim/kv_cache.hpp"
#include "bench/sim/options.hpp"
#include "bench/sim/stats.hpp"

namespace svc::sim {

struct Job;

/// Who asked. Must not submit or cancel from within these.
class JobOwner {
 public:
  /// `count` more tokens; job.generated says how many there are with them.
  virtual void on_tokens(Job& job, std::uint32_t count, TimePoint now) = 0;
  /// All tokens are there. The engine has let go of the job.
  virtual void on_finished(Job& job) = 0;
  /// With --decode-us 0: false while what was written has not left yet; then call Engine::unblock() when it has.
  virtual bool takes_more() const = 0;

 protected:
  ~JobOwner() = default;
};

/// One generation. The owner keeps it alive until on_finished() or cancel().
struct Job {
  JobOwner* owner = nullptr;
  std::uint64_t number = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t generated = 0;
  std::uint32_t cached_tokens = 0;
  bool stream = false;

  // The engine's own.
  enum class State { idle, waiting, prefill, decode };
  State state = State::idle;
  bool flowing = false;           ///< in flowing_
  std::size_t place = 0;          ///< in running_
  TimePoint due{};                ///< Pace::each: its next token
  std::uint32_t computed = 0;     ///< Pace::model: prompt tokens that are done or cached
  std::uint32_t step_tokens = 0;  ///< Pace::model: prompt tokens of this step
  CacheLease lease;
};

class Engine {
 public:
  Engine(EventLoop& loop, const Options& options, Stats& stats);

  [[nodiscard]] bool wants_prompt_text() const { return cache_.wants_text(); }
  void submit(Job& job, std::string_view prompt);
  /// The job is forgotten and its memory is free. Nothing happens when it is not in the engine.
  void cancel(Job& job);
  void unblock(Job& job);

  /// The step loop dies: nothing is generated any more, nothing ends.
  void fail() { failed_ = true; }
  void recover();
  [[nodiscard]] bool failed() const { return failed_; }

  /// With --decode-us 0: are there streams that would take more now? Then run_flowing() before the next wait.
  [[nodiscard]] bool flowing() const { return !flowing_.empty() && !failed_; }
  void run_flowing();

  [[nodiscard]] const KvCache& cache() const { return cache_; }

 private:
  void pass(TimePoint now);
  bool admit_head(Duration& prefill);
  void start_decode(Job& job, TimePoint now);
  void end_step(TimePoint now);
  void begin_model_step(TimePoint now);
  void end_model_step(TimePoint now);
  void ring_each(TimePoint now);
  void emit(Job& job, std::uint32_t count, TimePoint now);
  void leave_batch(Job& job);
  void count_queue();

  const Options& options_;
  Stats& stats_;
  KvCache cache_;
  std::optional<routing::EngineModel> model_;  ///< Pace::model
  Duration decode_;                            ///< shortest time of a step
  bool by_step_;                               ///< not Pace::each
  bool failed_ = false;
  bool in_pass_ = false;

  std::deque<Job*> waiting_;
  std::vector<Job*> running_;
  std::vector<Job*> flowing_;
  bool in_step_ = false;
  bool prefill_step_ = false;
  bool resting_ = true;  ///< Pace::model: no step runs, for want of requests
  TimePoint step_end_{};
  std::set<std::pair<TimePoint, Job*>> clocks_;  ///< Pace::each
  double phase_ = 0;
  Alarm alarm_;
};

}  // namespace svc::sim
