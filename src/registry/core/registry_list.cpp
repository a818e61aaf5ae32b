// The reading half of RegistryState: filters and counts over the whole fleet.
#include <algorithm>
#include <unordered_map>

#include "common/core/endpoint.hpp"
#include "registry/core/registry_state.hpp"

namespace svc::registry {

namespace {

bool matches(const ServiceFilter& filter, const ServiceEntry& entry, bool healthy) {
  const auto& spec = entry.stored.spec;
  if (filter.healthy && *filter.healthy != healthy) return false;
  if (filter.status && *filter.status != spec.status) return false;
  if (filter.type && *filter.type != entry.facts.type) return false;
  if (filter.host && !same_host(*filter.host, spec.host) && *filter.host != spec.hostname) return false;
  if (filter.model) {
    const auto& models = wire::models_of(spec, entry.facts);
    if (std::find(models.begin(), models.end(), *filter.model) == models.end()) return false;
  }
  return true;
}

using Counts = std::unordered_map<std::string_view, std::size_t>;

std::unordered_map<std::string, std::size_t> one_per_host(const Counts& by_text) {
  std::unordered_map<std::string, std::size_t> by_host;
  for (const auto& [host, count] : by_text) by_host[host_key(host)] += count;
  return by_host;
}

std::vector<std::pair<std::string, std::size_t>> sorted(const auto& counts) {
  std::vector<std::pair<std::string, std::size_t>> list(counts.begin(), counts.end());
  std::sort(list.begin(), list.end());
  return list;
}

}  // namespace

void RegistryState::for_each(const ServiceFilter& filter, TimePoint now,
                             const std::function<void(const ServiceEntry&, bool healthy)>& visit) const {
  for (const auto& node : order_) {
    if (!node) continue;
    const bool healthy = is_healthy(*node, now);
    if (matches(filter, *node, healthy)) visit(*node, healthy);
  }
}

RegistryStats RegistryState::stats(TimePoint now) const {
  RegistryStats stats;
  Counts by_status, by_host, by_health;
  for (const auto& node : order_) {
    if (!node) continue;
    ++stats.total;
    if (is_healthy(*node, now)) ++stats.healthy;
    ++by_status[node->stored.spec.status];
    ++by_host[node->stored.spec.host];
    ++by_health[to_string(node->health.status())];
  }
  stats.unhealthy = stats.total - stats.healthy;
  stats.by_status = sorted(by_status);
  stats.by_host = sorted(one_per_host(by_host));
  stats.by_health = sorted(by_health);
  stats.name_conflicts = name_conflicts_;
  return stats;
}

}  // namespace svc::registry
