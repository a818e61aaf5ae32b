// Steps of Engine with Pace::model: as those of bench/routing/engine, in real time.
#include <algorithm>
#include <cmath>

#include "bench/sim/engine.hpp"

namespace svc::sim {
namespace {

// What a late step may take from the next ones.
constexpr Duration kCatchUp = std::chrono::milliseconds(50);

}  // namespace

void Engine::begin_model_step(TimePoint now) {
  std::uint32_t budget = model_->chunk;
  double pairs = 0;
  std::uint64_t context = 0;
  const auto take = [&](Job& job) {
    job.step_tokens = std::min(budget, job.prompt_tokens - job.computed);
    budget -= job.step_tokens;
    pairs += routing::context_pairs(job.computed, job.step_tokens);
  };
  for (Job* job : running_) {
    if (job->state == Job::State::prefill) {
      take(*job);
    } else {
      context += std::uint64_t{job->prompt_tokens} + job->generated;
    }
  }
  Duration unused{};
  while (budget > 0 && admit_head(unused)) {
    Job& job = *running_.back();
    job.computed = job.cached_tokens;
    take(job);
  }
  count_queue();
  if (running_.empty()) {
    resting_ = true;
    return;
  }
  // On from the end of the last step, so that late alarms do not make the engine slower.
  TimePoint begin = now;
  if (!resting_) {
    begin = std::max(step_end_, now - kCatchUp);
    stats_.lost_us += static_cast<std::uint64_t>((begin - step_end_).count() / 1000);
  }
  const double seconds = model_->step(model_->chunk - budget, pairs, running_.size(), context);
  step_end_ = begin + Duration(std::llround(seconds * 1e9));
  resting_ = false;
  in_step_ = true;
  ++stats_.steps;
  alarm_.set(step_end_);
}

void Engine::end_model_step(TimePoint now) {
  in_pass_ = true;
  const std::vector<Job*> batch = running_;  // those that end leave running_
  for (Job* job : batch) {
    if (job->state == Job::State::decode) {
      emit(*job, 1, now);
      continue;
    }
    job->computed += job->step_tokens;
    if (job->computed < job->prompt_tokens) {
      cache_.computed(job->lease, job->computed);
    } else {
      start_decode(*job, now);
    }
  }
  in_pass_ = false;
  pass(now);
}

}  // namespace svc::sim
