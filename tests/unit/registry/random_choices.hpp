// What a random session draws: numbers, chances, services.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "tests/unit/registry/fixture.hpp"

namespace svc::registry::test {

class RandomChoices {
 public:
  explicit RandomChoices(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }
  template <class T, std::size_t N>
  T any(const std::array<T, N>& values) {
    return values[below(N)];
  }

  wire::ServiceSpec any_spec(const std::string& name) {
    wire::ServiceSpec spec;
    spec.name = name;
    spec.host = any<const char*, 3>({"10.0.0.1", "10.0.0.2", "gpu3"});
    spec.port = static_cast<std::uint16_t>(8000 + below(2));
    spec.hostname = any<const char*, 2>({"gpu1", "gpu3"});
    spec.url = "http://" + spec.host + ":" + std::to_string(spec.port);
    spec.status = any<const char*, 3>({"running", "running", "draining"});
    spec.metadata_json =
        any<const char*, 4>({"{}", R"({"type":"openai-api","models":["m1","m2"]})",
                             R"({"type":"openai-api","models_list":[{"id":"m2"}]})", R"({"health_url":"http://h/x"})"});
    if (chance(4)) spec.models = {"m3"};
    if (chance(2)) spec.heartbeat_interval = any<Duration, 3>({1s, 5s, 60s});
    if (chance(6)) spec.remove_after = any<Duration, 2>({20s, 200s});
    if (chance(3)) {
      spec.max_fails = static_cast<std::int64_t>(below(3));
      spec.max_fails_given = true;
    }
    return spec;
  }

 protected:
  std::mt19937_64 random_;
};

}  // namespace svc::registry::test
