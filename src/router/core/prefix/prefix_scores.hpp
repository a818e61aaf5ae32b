// What prefix_aware picks by: the appraisals of a request at the instances of a group.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "router/core/prefix/prefix_policy.hpp"

namespace svc::router {

/// Reused from pick to pick.
class PrefixScores {
 public:
  /// See PrefixPolicy::appraise.
  void make(PrefixPolicy& policy, const PromptView& prompt, std::span<const Lane> lanes, std::span<const double> shares,
            std::size_t in_service, TimePoint now) {
    policy.appraise(prompt, lanes, shares, in_service, now, appraisals_);
    lanes_.assign(lanes.begin(), lanes.end());
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (lanes_[i] >= places_.size()) places_.resize(lanes_[i] + 1, 0);
      places_[lanes_[i]] = static_cast<std::uint32_t>(i);
    }
  }

  /// What was made elsewhere: pairs of an upstream and its appraisal.
  template <class Opinions>
  void take(const Opinions& opinions) {
    appraisals_.clear();
    lanes_.clear();
    for (const auto& opinion : opinions) {
      const Lane lane = opinion.upstream->live->slot;
      if (lane >= places_.size()) places_.resize(lane + 1, 0);
      places_[lane] = static_cast<std::uint32_t>(lanes_.size());
      lanes_.push_back(lane);
      appraisals_.push_back(opinion.appraisal);
    }
  }

  /// nullptr: not among them.
  [[nodiscard]] const Appraisal* of(Lane lane) const {
    if (lane >= places_.size()) return nullptr;
    const auto place = places_[lane];
    return place < lanes_.size() && lanes_[place] == lane ? &appraisals_[place] : nullptr;
  }
  /// Is there one that has not enough to do?
  [[nodiscard]] bool any_open() const {
    return std::any_of(appraisals_.begin(), appraisals_.end(), [](const Appraisal& its) { return its.open; });
  }
  [[nodiscard]] std::size_t size() const { return appraisals_.size(); }

 private:
  std::vector<Appraisal> appraisals_;
  std::vector<Lane> lanes_;
  std::vector<std::uint32_t> places_;  // by lane
};

}  // namespace svc::router
