// The engine again, one step at a time and without any cleverness, to compare with.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <vector>

#include "bench/routing/engine.hpp"

namespace svc::routing {

class NaiveEngine {
 public:
  struct Outcome {
    double first_token = -1, ended = -1;
    std::uint32_t cached = 0;
  };

  NaiveEngine(const EngineModel& model, std::uint32_t block_tokens) : model_(model), block_(block_tokens) {}

  /// All jobs with the times of their coming, in order.
  std::map<std::uint32_t, Outcome> run(const std::vector<std::pair<double, Job>>& jobs) {
    std::size_t next = 0;
    double now = 0;
    while (next < jobs.size() || !waiting_.empty() || !running_.empty()) {
      if (waiting_.empty() && running_.empty()) {
        now = jobs[next].first;
        waiting_.push_back(jobs[next++].second);
      }
      const double end = now + begin_step();
      // Who comes while the step runs, waits for the next one.
      while (next < jobs.size() && jobs[next].first < end) waiting_.push_back(jobs[next++].second);
      now = end;
      end_step(now);
    }
    return outcomes_;
  }

 private:
  struct Running {
    Job job;
    std::uint32_t done = 0, step = 0, made = 0;
    std::size_t shared = 0;
  };
  struct Block {
    int users = 0;
    std::uint64_t idle_since = 0;
  };

  std::uint64_t reserved() const {
    std::uint64_t sum = 0;
    for (const auto& one : running_) sum += one.job.tokens() - one.shared * block_;
    for (const auto& [id, block] : blocks_) sum += block.users > 0 ? block_ : 0;
    return sum;
  }

  bool fits(const Job& job, std::size_t depth) const {
    std::uint64_t revived = 0;
    for (std::size_t i = 0; i < depth; ++i) revived += blocks_.at(job.blocks[i]).users == 0 ? block_ : 0;
    return reserved() + revived + job.tokens() - depth * block_ <= model_.kv_tokens;
  }

  void admit() {
    const Job job = waiting_.front();
    std::size_t depth = 0;
    while (depth < job.blocks.size() && blocks_.contains(job.blocks[depth])) ++depth;
    if (!fits(job, depth)) {
      blocked_ = true;
      return;
    }
    waiting_.pop_front();
    Running one{job};
    one.done = std::min<std::uint32_t>(static_cast<std::uint32_t>(depth) * block_, job.in - 1);
    one.shared = depth;
    for (std::size_t i = 0; i < depth; ++i) ++blocks_[job.blocks[i]].users;
    running_.push_back(one);
    outcomes_[job.row].cached = one.done;
    evict();
  }

  void evict() {
    for (;;) {
      std::uint64_t held = 0;
      for (const auto& one : running_) held += one.job.tokens() - one.shared * block_;
      held += blocks_.size() * block_;
      if (held <= model_.kv_tokens) return;
      auto oldest = blocks_.end();
      for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
        if (block->second.users > 0) continue;
        if (oldest == blocks_.end() || block->second.idle_since < oldest->second.idle_since) oldest = block;
      }
      if (oldest == blocks_.end()) return;
      blocks_.erase(oldest);
    }
  }

  double begin_step() {
    std::uint32_t budget = model_.chunk;
    double pairs = 0;
    std::uint64_t context = 0;
    blocked_ = false;
    const auto take = [&](Running& one) {
      one.step = std::min(budget, one.job.in - one.done);
      budget -= one.step;
      pairs += context_pairs(one.done, one.step);
    };
    for (auto& one : running_) {
      one.step = 0;
      if (one.made > 0) context += one.job.in + one.made;
      if (one.made == 0) take(one);
    }
    while (budget > 0 && !waiting_.empty() && running_.size() < model_.max_batch && !blocked_) {
      admit();
      if (!blocked_) take(running_.back());
    }
    return model_.step(model_.chunk - budget, pairs, running_.size(), context);
  }

  void end_step(double now) {
    for (auto& one : running_) {
      if (one.made > 0) {
        ++one.made;
      } else {
        one.done += one.step;
        for (; one.shared < std::min<std::size_t>(one.done / block_, one.job.blocks.size()); ++one.shared) {
          ++blocks_[one.job.blocks[one.shared]].users;
        }
        if (one.done == one.job.in) {
          one.made = 1;
          outcomes_[one.job.row].first_token = now;
        }
      }
    }
    // Of those that end together: the ones that decoded first, as their blocks become idle first.
    for (const bool decoded : {true, false}) {
      for (auto one = running_.begin(); one != running_.end();) {
        const bool was_decoding = one->made > 1;
        if (one->made < one->job.out || one->made == 0 || was_decoding != decoded) {
          ++one;
          continue;
        }
        outcomes_[one->job.row].ended = now;
        for (std::size_t i = one->shared; i > 0; --i) {
          auto& block = blocks_[one->job.blocks[i - 1]];
          if (--block.users == 0) block.idle_since = ++clock_;
        }
        one = running_.erase(one);
      }
    }
  }

  EngineModel model_;
  std::uint32_t block_;
  std::list<Job> waiting_;
  std::list<Running> running_;
  std::map<BlockId, Block> blocks_;
  std::map<std::uint32_t, Outcome> outcomes_;
  std::uint64_t clock_ = 0;
  bool blocked_ = false;
};

}  // namespace svc::routing
