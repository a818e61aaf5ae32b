// What is probed, in which order, to learn whether a service is healthy.
#pragma once

#include <string>
#include <vector>

#include "common/core/wire/registry_api.hpp"

namespace svc::registry {

/// One URL to GET. 2xx = healthy.
struct ProbeTarget {
  std::string url;
  /// Try the next target only when nothing listens here (connection refused); otherwise this target's verdict is final.
  bool next_only_if_refused = false;
  /// Try the next target when the path is not served here (404 or 405).
  bool next_if_not_served = false;
};

/// metadata.health_url alone when given; else, for type openai-api: the agent at host:port+1 /health (final unless nothing
/// listens there; left out for port 65535), then {url}/health, {url}/v1/models, {url}/models (each next one only when the
/// path before is not served); else {url}/health alone. {url} has its trailing slashes removed; the paths
/// are appended to the url as registered.
std::vector<ProbeTarget> probe_targets(const wire::ServiceSpec& spec, const wire::MetadataFacts& facts);

}  // namespace svc::registry
