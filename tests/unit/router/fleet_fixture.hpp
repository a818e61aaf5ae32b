// A fleet and what is told to it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "router/core/fleet.hpp"

namespace svc::router {

using namespace std::chrono_literals;

inline constexpr TimePoint kFleetStart{std::chrono::hours(1)};
inline constexpr bool kHealthyOnly = true;
inline constexpr bool kAll = false;
inline constexpr bool kIncomplete = true;

inline UpstreamSpec spec(const std::string& name, const std::string& incarnation = "") {
  UpstreamSpec made;
  made.name = name;
  made.endpoint = {"10.0.0.1", 5001};
  made.url = "http://10.0.0.1:5001";
  made.incarnation = incarnation;
  return made;
}

inline UpstreamSpec lapsed(const std::string& name) {
  UpstreamSpec made = spec(name);
  made.serving = false;
  made.lease_lapsed = true;
  return made;
}

class FleetTest : public ::testing::Test {
 public:
  bool list(std::vector<UpstreamSpec> specs, bool healthy_only = kAll, bool incomplete = false) {
    return fleet_.apply_list(std::move(specs), healthy_only, incomplete, now_);
  }
  std::string names() const {
    std::string text;
    for (const auto& upstream : fleet_.upstreams()) text += (text.empty() ? "" : " ") + upstream.spec.name;
    return text;
  }
  Upstream find(const std::string& name) const {
    for (const auto& upstream : fleet_.upstreams()) {
      if (upstream.spec.name == name) return upstream;
    }
    ADD_FAILURE() << "no upstream " << name;
    return {};
  }

  Fleet fleet_{FleetSettings{}};
  TimePoint now_ = kFleetStart;
};

}  // namespace svc::router
