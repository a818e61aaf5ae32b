// One engine in virtual time: chunked prefill beside decodes, first come first served, with a prefix cache of full blocks.
//
// A step takes one token for each decoding request and up to `chunk` tokens of prompts. A prompt is matched with the cache
// when its first chunk is scheduled; its blocks can be matched by others once the step that computes them has ended. A
// request is scheduled when its prompt and its whole answer fit into what nobody uses, so none is ever thrown out again;
// blocks that nobody uses are evicted longest idle first, the end of a prompt before its beginning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "bench/routing/block_cache.hpp"
#include "bench/routing/engine_model.hpp"
#include "bench/routing/pending_blocks.hpp"

namespace svc::routing {

/// A request as an engine sees it. `blocks` needs to live until it has ended.
struct Job {
  std::uint32_t row = 0;  ///< of the trace, for its owner
  std::uint32_t in = 1, out = 1;
  Blocks blocks;

  [[nodiscard]] std::uint64_t tokens() const { return std::uint64_t{in} + out; }
};

/// What a step brought.
struct Progress {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> scheduled;  ///< row, cached tokens: prefill begins with the step
  std::vector<std::uint32_t> first_token;                          ///< rows
  std::vector<std::uint32_t> ended;                                ///< rows; of one token: also in first_token

  void clear() {
    scheduled.clear();
    first_token.clear();
    ended.clear();
  }
};

class Engine {
 public:
  /// `foresight`: first_token_if() will be asked, which costs a look-up for each block of each request.
  Engine(const EngineModel& model, std::uint32_t block_tokens, bool foresight);

  /// At most model.kv_tokens in prompt and answer. `now` is not before any earlier call, nor after next_event().
  void enqueue(double now, const Job& job);
  /// When the running step, or run of equal steps, ends; infinite when idle.
  [[nodiscard]] double next_event() const { return step_ends_; }
  /// Ends that step, tells what it brought, and begins the next one.
  void advance(Progress& progress);

  [[nodiscard]] const EngineModel& model() const { return model_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }  ///< not yet scheduled
  [[nodiscard]] std::size_t decoding() const { return decodes_.size(); }
  [[nodiscard]] std::size_t active() const { return waiting_.size() + prefills_.size() + decodes_.size(); }
  /// Share of its cache that is in use.
  [[nodiscard]] double kv_usage() const {
    return static_cast<double>(reserved()) / static_cast<double>(model_.kv_tokens);
  }
  [[nodiscard]] std::size_t cached_depth(Blocks blocks) const { return cache_.depth(blocks); }
  /// Of those that are computed or will be, once all requests that are here now have had their turn.
  [[nodiscard]] std::size_t expected_depth(Blocks blocks) const;
  /// When the job's first token would come if it were enqueued now: the very steps that would follow, with the true
  /// lengths of all answers. Blocks that are evicted meanwhile, or that come a step too late for a request right behind,
  /// are taken to be there. Needs `foresight`.
  [[nodiscard]] double first_token_if(double now, const Job& job) const;

  /// Tokens of prompts that were computed, and that were found in the cache.
  [[nodiscard]] std::uint64_t computed_tokens() const { return computed_; }

 private:
  struct Waiting {
    Job job;
    std::uint32_t expected = 0;  // blocks that it will find, with foresight
  };
  struct Prefill {
    Job job;
    std::uint32_t done = 0;      // tokens, cached ones too
    std::uint32_t step = 0;      // tokens in this step
    std::uint32_t shared = 0;    // blocks that it uses
    std::uint64_t reserved = 0;  // tokens that are its own now
    std::uint64_t admitted = 0;  // and when it was admitted
  };
  struct Decode {
    std::uint64_t last_step = 0;
    Job job;
    std::uint32_t shared = 0;
    std::uint64_t reserved = 0, admitted = 0;
  };
  friend class EngineForecast;

  [[nodiscard]] std::uint64_t reserved() const { return private_ + cache_.used() * block_tokens_; }
  [[nodiscard]] std::uint64_t need(const Job& job, std::size_t depth) const {
    return job.tokens() - depth * block_tokens_;
  }
  [[nodiscard]] std::uint32_t cached_tokens(const Job& job, std::size_t depth) const;
  bool admit(Progress& progress);
  void begin(double now, Progress& progress);
  void begin_decodes_only(double now);
  void end_prefill(Prefill& prefill, Progress& progress);
  void end_request(const Job& job, std::uint32_t shared);
  /// The run of equal steps that goes on at `now` ends with its step of that time.
  void cut(double now);
  [[nodiscard]] double time_of_steps(std::uint64_t steps) const;
  /// How many steps of the run have begun by `now`: at least one.
  [[nodiscard]] std::uint64_t steps_begun(double now) const;

  EngineModel model_;
  std::uint32_t block_tokens_;
  bool foresight_;
  BlockCache cache_;
  PendingBlocks pending_;  // of waiting and half computed prompts, with foresight
  std::deque<Waiting> waiting_;
  std::vector<Prefill> prefills_;  // of this step; the last one may need more steps
  std::vector<Decode> decodes_;    // the one that ends first is last
  std::uint64_t decode_context_ = 0;
  std::uint64_t private_ = 0;   // tokens that are reserved and no shared block
  std::uint64_t admitted_ = 0;  // sum over prefills and decodes
  std::uint64_t computed_ = 0;
  std::uint64_t step_ = 0;       // that runs
  std::uint64_t run_steps_ = 1;  // of the run that began with it
  double run_began_ = 0;
  double step_ends_ = std::numeric_limits<double>::infinity();
  Progress unreported_;  // of a step that enqueue() began
};

}  // namespace svc::routing
