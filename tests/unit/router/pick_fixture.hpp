// Fleets for the tests of tables and picks, with a clock that stands where the test puts it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "router/core/pick.hpp"

namespace svc::router {

inline constexpr TimePoint kNow{std::chrono::hours(1)};

class TestFleet {
 public:
  BalancingSettings settings;
  TimePoint now = kNow;

  /// Adds an upstream; change what it returns before the next build().
  Upstream& add(const std::string& name, std::int64_t weight = 1) {
    Upstream upstream;
    upstream.spec.name = name;
    upstream.spec.weight = weight;
    upstream.live = std::make_shared<UpstreamLive>(static_cast<std::uint32_t>(upstreams_.size()), 1);
    upstreams_.push_back(std::move(upstream));
    return upstreams_.back();
  }
  void add_many(std::size_t count, std::int64_t weight = 1) {
    for (std::size_t i = 0; i < count; ++i) add("u" + std::to_string(i), weight);
  }
  void remove(const std::string& name) {
    std::erase_if(upstreams_, [&](const Upstream& upstream) { return upstream.spec.name == name; });
  }

  Upstream& operator[](const std::string& name) {
    for (auto& upstream : upstreams_) {
      if (upstream.spec.name == name) return upstream;
    }
    return add(name);
  }
  UpstreamLive& live(const std::string& name) { return *(*this)[name].live; }
  void eject(const std::string& name, Duration time = std::chrono::seconds(30)) {
    live(name).ejected_until_ns = (now + time).time_since_epoch().count();
  }
  void down(const std::string& name) { live(name).verdict = ProbeVerdict::down; }

  const RoutingTable& build() {
    table_ = RoutingTable::build(upstreams_, settings, now, ++revision_, true, table_.get());
    return *table_;
  }
  const RoutingTable& table() { return table_ == nullptr ? build() : *table_; }
  const Group& group(const std::string& model = "") { return *table().find(model); }

  PickResult pick(const PickContext& given = {}, const std::string& model = "") {
    return svc::router::pick(group(model), settings, filled(given));
  }
  PickResult preview(const PickContext& given = {}, const std::string& model = "") {
    return svc::router::preview(group(model), settings, filled(given));
  }
  /// Name of the upstream, or the problem in brackets.
  std::string name(const PickContext& given = {}, const std::string& model = "") { return name_of(pick(given, model)); }
  /// Names of picks that end at once.
  std::string names(int count, const PickContext& given = {}) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      if (!all.empty()) all += ' ';
      all += short_pick(given);
    }
    return all;
  }
  std::map<std::string, int> shares(int count, const PickContext& given = {}) {
    std::map<std::string, int> found;
    for (int i = 0; i < count; ++i) ++found[short_pick(given)];
    return found;
  }
  std::string short_pick(const PickContext& given = {}) {
    const auto result = pick(given);
    if (result.upstream != nullptr) --result.upstream->live->in_flight;
    return name_of(result);
  }

  static std::string name_of(const PickResult& result) {
    if (result.upstream != nullptr) return result.upstream->spec.name;
    return result.problem == PickProblem::all_busy ? "[all_busy]" : "[none_usable]";
  }

 private:
  PickContext filled(PickContext context) {
    context.now = now;
    if (context.random == 0) context.random = random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return context;
  }

  std::vector<Upstream> upstreams_;
  std::shared_ptr<const RoutingTable> table_;
  std::uint64_t revision_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace svc::router
