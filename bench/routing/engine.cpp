#include "bench/routing/engine.hpp"

#include <algorithm>
#include <cmath>

namespace svc::routing {

Engine::Engine(const EngineModel& model, std::uint32_t block_tokens, bool foresight)
    : model_(model), block_tokens_(block_tokens), foresight_(foresight) {}

std::size_t Engine::expected_depth(Blocks blocks) const {
  return static_cast<std::size_t>(
      std::find_if(blocks.begin(), blocks.end(), [&](BlockId id) { return !cache_.holds(id) && !pending_.holds(id); }) -
      blocks.begin());
}

std::uint32_t Engine::cached_tokens(const Job& job, std::size_t depth) const {
  // The last token of a prompt is always computed: its result is the first token of the answer.
  return std::min(static_cast<std::uint32_t>(depth * block_tokens_), job.in - 1);
}

void Engine::enqueue(double now, const Job& job) {
  Waiting waiting{job};
  if (foresight_) {
    waiting.expected = static_cast<std::uint32_t>(expected_depth(job.blocks));
    pending_.add(job.blocks);
  }
  waiting_.push_back(waiting);
  if (std::isinf(step_ends_)) {
    begin(now, unreported_);
  } else if (run_steps_ > 1) {
    cut(now);
  }
}

void Engine::advance(Progress& progress) {
  progress.clear();
  std::swap(progress.scheduled, unreported_.scheduled);
  const double now = step_ends_;
  step_ += run_steps_ - 1;
  decode_context_ += run_steps_ * decodes_.size();
  while (!decodes_.empty() && decodes_.back().last_step == step_) {
    const Decode ended = decodes_.back();
    decodes_.pop_back();
    decode_context_ -= ended.job.tokens();
    private_ -= ended.reserved;
    admitted_ -= ended.admitted;
    end_request(ended.job, ended.shared);
    progress.ended.push_back(ended.job.row);
  }
  for (auto& prefill : prefills_) end_prefill(prefill, progress);
  std::erase_if(prefills_, [](const Prefill& prefill) { return prefill.done == prefill.job.in; });
  ++step_;
  begin(now, progress);
}

void Engine::end_prefill(Prefill& prefill, Progress& progress) {
  const Job& job = prefill.job;
  prefill.done += prefill.step;
  computed_ += prefill.step;
  const auto full = std::min<std::size_t>(prefill.done / block_tokens_, job.blocks.size());
  for (; prefill.shared < full; ++prefill.shared) {
    // One that another request computed at the same time is kept once.
    cache_.use(job.blocks[prefill.shared]);
    if (foresight_) pending_.remove(job.blocks[prefill.shared]);
    private_ -= block_tokens_;
    prefill.reserved -= block_tokens_;
  }
  if (prefill.done < job.in) return;
  progress.first_token.push_back(job.row);
  if (job.out <= 1) {
    private_ -= prefill.reserved;
    admitted_ -= prefill.admitted;
    end_request(job, prefill.shared);
    progress.ended.push_back(job.row);
    return;
  }
  const Decode decode{step_ + job.out - 1, job, prefill.shared, prefill.reserved, prefill.admitted};
  const auto place = std::find_if(decodes_.rbegin(), decodes_.rend(),
                                  [&](const Decode& other) { return other.last_step > decode.last_step; });
  decodes_.insert(place.base(), decode);
  decode_context_ += std::uint64_t{job.in} + 1;
}

void Engine::end_request(const Job& job, std::uint32_t shared) {
  for (; shared > 0; --shared) cache_.drop(job.blocks[shared - 1]);
}

bool Engine::admit(Progress& progress) {
  const Job job = waiting_.front().job;
  const auto depth = cache_.depth(job.blocks);
  const auto matched = job.blocks.first(depth);
  const auto own = need(job, depth);
  if (reserved() + cache_.idle_among(matched) * block_tokens_ + own > model_.kv_tokens) return false;
  for (const auto id : matched) {
    cache_.use(id);
    if (foresight_) pending_.remove(id);
  }
  private_ += own;
  admitted_ += own;
  while (private_ + cache_.size() * block_tokens_ > model_.kv_tokens && cache_.evict()) {
  }
  Prefill prefill{job};
  prefill.done = cached_tokens(job, depth);
  prefill.shared = static_cast<std::uint32_t>(depth);
  prefill.reserved = prefill.admitted = own;
  prefills_.push_back(prefill);
  waiting_.pop_front();
  progress.scheduled.emplace_back(job.row, prefill.done);
  return true;
}

void Engine::begin(double now, Progress& progress) {
  run_began_ = now;
  run_steps_ = 1;
  std::uint32_t budget = model_.chunk;
  double pairs = 0;
  const auto take = [&](Prefill& prefill) {
    prefill.step = std::min(budget, prefill.job.in - prefill.done);
    budget -= prefill.step;
    pairs += context_pairs(prefill.done, prefill.step);
  };
  for (auto& prefill : prefills_) take(prefill);
  while (budget > 0 && !waiting_.empty() && prefills_.size() + decodes_.size() < model_.max_batch && admit(progress)) {
    take(prefills_.back());
  }
  const auto batch = prefills_.size() + decodes_.size();
  if (batch == 0) {
    step_ends_ = std::numeric_limits<double>::infinity();
  } else if (prefills_.empty()) {
    // Nothing changes before the first of them ends.
    run_steps_ = decodes_.back().last_step - step_ + 1;
    step_ends_ = now + time_of_steps(run_steps_);
  } else {
    step_ends_ = now + model_.step(model_.chunk - budget, pairs, batch, decode_context_);
  }
}

double Engine::time_of_steps(std::uint64_t steps) const {
  // Each step, the context of each request is one token longer.
  const auto count = static_cast<double>(steps);
  const auto growth = model_.decode_context * static_cast<double>(decodes_.size()) / model_.speed;
  return count * model_.step(0, 0, decodes_.size(), decode_context_) + growth * count * (count - 1) / 2;
}

std::uint64_t Engine::steps_begun(double now) const {
  if (run_steps_ == 1) return 1;
  std::uint64_t low = 1;
  std::uint64_t high = run_steps_;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (run_began_ + time_of_steps(middle) > now) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void Engine::cut(double now) {
  run_steps_ = steps_begun(now);
  step_ends_ = run_began_ + time_of_steps(run_steps_);
}

}  // namespace svc::routing
