#include <algorithm>
#include <cmath>

#include "bench/routing/engine.hpp"

namespace svc::routing {

/// The engine from now on, with one more request at the end of its queue and none after it. What a request that ends
/// gives back is what it took; blocks that it shares with others are taken to be theirs.
class EngineForecast {
 public:
  EngineForecast(const Engine& engine, double now, const Job& job)
      : engine_(engine),
        job_(job),
        time_(now),
        step_(engine.step_),
        context_(engine.decode_context_),
        left_(engine.decodes_.size()),
        admitted_(engine.admitted_) {
    if (!std::isinf(engine.step_ends_)) end_running_step(now);
  }

  double first_token() {
    while (!found_) {
      std::uint32_t budget = model().chunk;
      double pairs = 0;
      for (auto& prompt : prompts_) take(prompt, budget, pairs);
      while (budget > 0 && prompts_.size() + decoding() < model().max_batch && admit()) {
        take(prompts_.back(), budget, pairs);
      }
      if (prompts_.empty()) {
        decode_until_one_ends();
        continue;
      }
      time_ += model().step(model().chunk - budget, pairs, prompts_.size() + decoding(), context_);
      context_ += decoding();
      end_decodes();
      end_prompts();
      ++step_;
    }
    return time_;
  }

 private:
  struct Prompt {
    std::uint32_t in, out, done, step;
    std::uint64_t admitted;
    bool ours;
  };
  struct Answer {
    std::uint64_t last_step, tokens, admitted;
    bool operator<(const Answer& other) const {
      return last_step > other.last_step;
    }  // for a heap: first to end on top
  };

  [[nodiscard]] const EngineModel& model() const { return engine_.model_; }
  [[nodiscard]] std::size_t decoding() const { return left_ + answers_.size(); }

  void end_running_step(double now) {
    const auto steps = engine_.steps_begun(now);
    time_ = steps == engine_.run_steps_ ? engine_.step_ends_ : engine_.run_began_ + engine_.time_of_steps(steps);
    step_ += steps - 1;
    context_ += steps * left_;
    for (const auto& prefill : engine_.prefills_) {
      prompts_.push_back({prefill.job.in, prefill.job.out, prefill.done, prefill.step, prefill.admitted, false});
    }
    end_decodes();
    end_prompts();
    ++step_;
  }

  static void take(Prompt& prompt, std::uint32_t& budget, double& pairs) {
    prompt.step = std::min(budget, prompt.in - prompt.done);
    budget -= prompt.step;
    pairs += context_pairs(prompt.done, prompt.step);
  }

  bool admit() {
    const bool ours = next_ == engine_.waiting_.size();
    if (next_ > engine_.waiting_.size()) return false;
    const Job& job = ours ? job_ : engine_.waiting_[next_].job;
    const std::size_t depth = ours ? engine_.expected_depth(job.blocks) : engine_.waiting_[next_].expected;
    const auto own = engine_.need(job, depth);
    if (admitted_ + own > model().kv_tokens) return false;
    prompts_.push_back({job.in, job.out, engine_.cached_tokens(job, depth), 0, own, ours});
    admitted_ += own;
    ++next_;
    return true;
  }

  void end_prompts() {
    for (auto& prompt : prompts_) {
      prompt.done += prompt.step;
      if (prompt.done < prompt.in) continue;
      found_ = found_ || prompt.ours;
      if (prompt.out <= 1) {
        admitted_ -= prompt.admitted;
        continue;
      }
      answers_.push_back({step_ + prompt.out - 1, std::uint64_t{prompt.in} + prompt.out, prompt.admitted});
      std::push_heap(answers_.begin(), answers_.end());
      context_ += std::uint64_t{prompt.in} + 1;
    }
    std::erase_if(prompts_, [](const Prompt& prompt) { return prompt.done == prompt.in; });
  }

  void end_decodes() {
    for (; left_ > 0 && engine_.decodes_[left_ - 1].last_step <= step_; --left_) {
      context_ -= engine_.decodes_[left_ - 1].job.tokens();
      admitted_ -= engine_.decodes_[left_ - 1].admitted;
    }
    while (!answers_.empty() && answers_.front().last_step <= step_) {
      context_ -= answers_.front().tokens;
      admitted_ -= answers_.front().admitted;
      std::pop_heap(answers_.begin(), answers_.end());
      answers_.pop_back();
    }
  }

  void decode_until_one_ends() {
    auto last = left_ > 0 ? engine_.decodes_[left_ - 1].last_step : answers_.front().last_step;
    if (!answers_.empty()) last = std::min(last, answers_.front().last_step);
    const auto steps = last - step_ + 1;
    const auto count = static_cast<double>(steps);
    const auto requests = static_cast<double>(decoding());
    time_ += count * model().step(0, 0, decoding(), context_) +
             model().decode_context * requests / model().speed * count * (count - 1) / 2;
    context_ += steps * decoding();
    step_ = last;
    end_decodes();
    ++step_;
  }

  const Engine& engine_;
  const Job& job_;
  double time_;
  std::uint64_t step_;
  std::uint64_t context_;
  std::size_t left_;  // of the engine's decodes
  std::uint64_t admitted_;
  std::size_t next_ = 0;  // of the engine's queue
  bool found_ = false;
  std::vector<Prompt> prompts_;  // of this step
  std::vector<Answer> answers_;  // heap: of prompts that ended in the forecast
};

double Engine::first_token_if(double now, const Job& job) const {
  return EngineForecast(*this, now, job).first_token();
}

}  // namespace svc::routing
