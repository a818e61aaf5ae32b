#include "bench/sim/engine.hpp"

#include <algorithm>
#include <cmath>

#include "bench/sim/token_text.hpp"

namespace svc::sim {
namespace {

Duration micros(double us) { return Duration(std::llround(us * 1000)); }

std::optional<routing::EngineModel> make_model(const Options& options) {
  if (options.pace != Pace::model) return std::nullopt;
  routing::EngineModel model;
  model.speed = options.speed;
  model.chunk = options.chunk;
  return model;
}

KvCache make_cache(const Options& options) {
  return options.cache == CacheKind::fixed ? KvCache::fixed() : KvCache::paged(options.num_blocks, options.block_size);
}

}  // namespace

Engine::Engine(EventLoop& loop, const Options& options, Stats& stats)
    : options_(options),
      stats_(stats),
      cache_(make_cache(options)),
      model_(make_model(options)),
      decode_(model_ ? micros(model_->step(0, 0, 1, 0) * 1e6) : micros(options.decode_us)),
      by_step_(options.pace != Pace::each),
      alarm_(loop, [this](TimePoint now) { by_step_ ? end_step(now) : ring_each(now); }) {}

void Engine::submit(Job& job, std::string_view prompt) {
  ++stats_.generations;
  stats_.prompt_tokens += job.prompt_tokens;
  job.generated = job.cached_tokens = 0;
  job.flowing = false;
  cache_.prepare(job.lease, prompt);
  job.state = Job::State::waiting;
  waiting_.push_back(&job);
  pass(steady_now());
  count_queue();
}

void Engine::cancel(Job& job) {
  if (job.state == Job::State::idle) return;
  ++stats_.cancelled;
  if (job.stream) stats_.cancelled_chunks += job.generated;
  if (job.state == Job::State::waiting) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &job));
    job.state = Job::State::idle;
  } else {
    leave_batch(job);
    cache_.release(job.lease, {});
  }
  count_queue();
  pass(steady_now());
}

void Engine::recover() {
  failed_ = false;
  if (in_step_ || !clocks_.empty()) alarm_.set(steady_now());
  pass(steady_now());
}

void Engine::leave_batch(Job& job) {
  running_[job.place] = running_.back();
  running_[job.place]->place = job.place;
  running_.pop_back();
  if (job.flowing) std::erase(flowing_, &job);
  job.flowing = false;
  if (!by_step_) clocks_.erase({job.due, &job});
  job.state = Job::State::idle;
}

void Engine::count_queue() {
  stats_.active = running_.size();
  stats_.waiting = waiting_.size();
  stats_.peak_active = std::max(stats_.peak_active, stats_.active);
  stats_.peak_waiting = std::max(stats_.peak_waiting, stats_.waiting);
}

bool Engine::admit_head(Duration& prefill) {
  if (waiting_.empty() || running_.size() >= options_.max_batch) return false;
  std::size_t cached = 0;
  auto fit = KvCache::Fit::never;
  for (std::size_t tries = 0; tries < waiting_.size() && fit == KvCache::Fit::never; ++tries) {
    const Job& head = *waiting_.front();
    fit = cache_.admit(waiting_.front()->lease, head.prompt_tokens, head.max_tokens, cached);
    if (fit != KvCache::Fit::never) break;
    // To the back of the queue, and the pass is over. The next one comes with the next step; without steps it is now.
    std::rotate(waiting_.begin(), waiting_.begin() + 1, waiting_.end());
    if (by_step_ && decode_ > Duration::zero() && !running_.empty()) return false;
  }
  if (fit != KvCache::Fit::yes) return false;
  Job& job = *waiting_.front();
  waiting_.pop_front();
  job.cached_tokens = static_cast<std::uint32_t>(cached);
  stats_.prefix_hits += cached > 0 ? 1U : 0U;
  stats_.cached_tokens += cached;
  job.state = Job::State::prefill;
  job.place = running_.size();
  running_.push_back(&job);
  prefill = micros(options_.prefill_us_per_token * (job.prompt_tokens - job.cached_tokens));
  return true;
}

/// What the scheduler does whenever something has changed.
void Engine::pass(TimePoint now) {
  if (failed_ || in_pass_ || (by_step_ && in_step_)) return;
  if (model_) return begin_model_step(now);
  in_pass_ = true;
  Duration prefill{};
  while (true) {
    Duration one{};
    const bool admitted = admit_head(one);
    if (admitted && !by_step_ && one > Duration::zero()) {
      Job& job = *running_.back();
      job.due = now + one;
      clocks_.emplace(job.due, &job);
      alarm_.set(clocks_.begin()->first);
    } else if (admitted && (!by_step_ || (one == Duration::zero() && decode_ == Duration::zero()))) {
      start_decode(*running_.back(), now);
    } else if (!admitted) {
      break;
    }
    prefill += one;
  }
  in_pass_ = false;
  count_queue();
  if (!by_step_) return;
  const auto is = [](Job::State state) { return [state](const Job* job) { return job->state == state; }; };
  prefill_step_ = std::any_of(running_.begin(), running_.end(), is(Job::State::prefill));
  const bool decodes = decode_ > Duration::zero() && !running_.empty();
  if (!prefill_step_ && !decodes) return;
  in_step_ = true;
  ++stats_.steps;
  // On from the end of the last step, so that a late alarm does not make all that follow late; but never in a hurry.
  const TimePoint begin = now - step_end_ < std::chrono::milliseconds(2) ? step_end_ : now;
  step_end_ = begin + (prefill_step_ ? prefill : decode_);
  if (prefill_step_ && prefill == Duration::zero()) {
    end_step(now);
  } else {
    alarm_.set(step_end_);
  }
}

void Engine::end_step(TimePoint now) {
  if (!in_step_ || failed_) return;
  in_step_ = false;
  stats_.late_us += static_cast<std::uint64_t>(std::max<Duration::rep>((now - step_end_).count() / 1000, 0));
  if (model_) return end_model_step(now);
  in_pass_ = true;
  const std::vector<Job*> batch = running_;  // those that end leave running_
  for (Job* job : batch) {
    if (prefill_step_ && job->state == Job::State::prefill) {
      start_decode(*job, now);
    } else if (!prefill_step_ && decode_ > Duration::zero()) {
      emit(*job, 1, now);
    }
  }
  in_pass_ = false;
  pass(now);
}

/// The prompt is computed, and its result is the first token.
void Engine::start_decode(Job& job, TimePoint now) {
  cache_.computed(job.lease);
  job.state = Job::State::decode;
  if (decode_ == Duration::zero()) {
    if (job.stream && job.max_tokens > 0) {
      job.flowing = true;
      flowing_.push_back(&job);
    } else {
      emit(job, job.max_tokens, now);
    }
    return;
  }
  if (!by_step_) {
    // Spread evenly (multiples of the golden ratio), so that streams that began together do not stay together.
    phase_ = std::fmod(phase_ + 0.6180339887498949, 1.0);
    job.due = now + Duration(static_cast<Duration::rep>(phase_ * static_cast<double>(decode_.count())));
    clocks_.emplace(job.due, &job);
    alarm_.set(clocks_.begin()->first);
  }
  emit(job, std::min(1U, job.max_tokens), now);
}

void Engine::ring_each(TimePoint now) {
  if (failed_) return;
  in_pass_ = true;
  while (!clocks_.empty() && clocks_.begin()->first <= now) {
    auto node = clocks_.extract(clocks_.begin());
    Job& job = *node.value().second;
    if (job.state == Job::State::prefill) {
      start_decode(job, now);
      continue;
    }
    job.due = std::max(job.due, now - decode_) + decode_;
    node.value().first = job.due;
    clocks_.insert(std::move(node));
    emit(job, 1, now);
  }
  in_pass_ = false;
  if (!clocks_.empty()) alarm_.set(clocks_.begin()->first);
  pass(now);
}

void Engine::emit(Job& job, std::uint32_t count, TimePoint now) {
  job.generated += count;
  stats_.tokens += count;
  if (count > 0) job.owner->on_tokens(job, count, now);
  if (job.generated < job.max_tokens) return;
  leave_batch(job);
  cache_.release(job.lease, cache_.wants_text() ? answer_text(job.generated) : std::string());
  ++stats_.completed;
  count_queue();
  job.owner->on_finished(job);
}

void Engine::unblock(Job& job) {
  if (job.state != Job::State::decode || job.flowing || decode_ > Duration::zero()) return;
  job.flowing = true;
  flowing_.push_back(&job);
}

void Engine::run_flowing() {
  if (failed_) return;
  const std::vector<Job*> round = std::exchange(flowing_, {});
  in_pass_ = true;
  for (Job* job : round) job->flowing = false;
  for (Job* job : round) {
    const std::uint32_t left = job->max_tokens - job->generated;
    const bool last = left <= options_.merge;
    emit(*job, std::min(left, options_.merge), steady_now());
    if (!last && job->owner->takes_more()) unblock(*job);
  }
  in_pass_ = false;
  if (!waiting_.empty()) pass(steady_now());
}

}  // namespace svc::sim
