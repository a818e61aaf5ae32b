#include "registry/core/probe_target.hpp"

#include <limits>
#include <string_view>

#include "common/core/endpoint.hpp"

namespace svc::registry {

namespace {

/// The registered url without query and trailing slashes, so that a path can be appended.
std::string_view base_of(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  return url;
}

}  // namespace

std::vector<ProbeTarget> probe_targets(const wire::ServiceSpec& spec, const wire::MetadataFacts& facts) {
  if (!facts.health_url.empty()) return {ProbeTarget{facts.health_url}};
  const std::string base(base_of(spec.url));
  if (facts.type != wire::kTypeOpenAiApi) return {ProbeTarget{base + "/health"}};

  std::vector<ProbeTarget> targets;
  if (spec.port < std::numeric_limits<std::uint16_t>::max()) {
    Endpoint agent = wire::endpoint_of(spec);
    ++agent.port;
    targets.push_back(ProbeTarget{"http://" + agent.to_string() + "/health", true, false});
  }
  targets.push_back(ProbeTarget{base + "/health", false, true});
  targets.push_back(ProbeTarget{base + "/v1/models", false, true});
  targets.push_back(ProbeTarget{base + "/models", false, false});
  return targets;
}

}  // namespace svc::registry
