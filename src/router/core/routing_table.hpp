// The immutable picture that requests are routed by: upstreams, grouped by model, with what each policy needs prepared.
// Made by the control thread, handed to the data threads whole; a request keeps the table it began with.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "router/core/hash_ring.hpp"
#include "router/core/prefix/prefix_policy.hpp"
#include "router/core/rotation.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

enum class Method : std::uint8_t { round_robin, weighted, least_connections, ip_hash, random, session, prefix_aware };
[[nodiscard]] std::string_view to_string(Method method);
/// nullopt for an unknown name. "least_conn" is nginx's spelling of least_connections.
[[nodiscard]] std::optional<Method> parse_method(std::string_view name);

struct BalancingSettings {
  Method method = Method::round_robin;
  std::map<std::string, Method, std::less<>> method_by_model;
  std::map<std::string, std::string, std::less<>> model_aliases;  ///< asked for -> served
  double panic_threshold = 0.5;                   ///< 0..1; below this usable share of a model's upstreams all are used
  Duration slow_start{std::chrono::seconds(30)};  ///< 0 = at once
  double load_bound = 1.25;                       ///< of the hash policies: most load over the mean; 0 = no bound
  PrefixSettings prefix;                          ///< of prefix_aware
  std::uint64_t size_threshold = 0;               ///< bytes of message text; more prefers cache_type "static"; 0 = off
};

/// What prefers upstreams by the size of a request (metadata.cache_type).
enum class CacheType : std::uint8_t { paged, static_cache };
inline constexpr std::size_t kCacheTypes = 2;
[[nodiscard]] std::string_view to_string(CacheType type);  ///< "paged", "static"

/// Load of the usable primaries together, which bounded load compares with. In large groups it is summed up only now
/// and then. Any thread.
struct alignas(64) LoadEstimate {
  std::atomic<std::uint64_t> turns{0};      ///< picks so far
  std::atomic<std::uint64_t> summed_at{0};  ///< of them, when it was last summed up
  std::atomic<std::uint64_t> in_flight{0};
  std::atomic<std::uint64_t> weight{0};
};

/// Upstreams that serve one model (or, for requests that name none, all of them).
struct Group {
  std::string model;  ///< "" = the group of all
  Method method = Method::round_robin;
  std::vector<const Upstream*> primaries, backups;
  Rotation primary_rotation, backup_rotation;  ///< smooth weighted order of the usable ones when the table was made
  /// The same of each cache type alone; empty unless there is a size_threshold.
  std::array<Rotation, kCacheTypes> primary_by_cache, backup_by_cache;
  HashRing ring;  ///< over the primaries; only for the hash policies
  /// Too few primaries were usable when the table was made: ejected ones take part as if they were not (and are in the
  /// rotations). Not when no primary but a backup was usable: then the backups do the work.
  bool panic = false;
  std::uint64_t total_weight = 0;  ///< of the usable primaries
  mutable LoadEstimate load;
};

class RoutingTable {
 public:
  /// `previous` (may be null): rings of unchanged membership and positions of rotations are taken over from it.
  /// `view_known`: false as long as models may exist that nobody here has heard of; see Fleet::known.
  static std::shared_ptr<const RoutingTable> build(std::vector<Upstream> upstreams, const BalancingSettings& settings,
                                                   TimePoint now, std::uint64_t revision, bool view_known,
                                                   const RoutingTable* previous);

  [[nodiscard]] const std::vector<Upstream>& upstreams() const { return upstreams_; }
  /// The model's group, aliases followed. A model that nobody states falls to the upstreams that take any model;
  /// nullptr when there is none. "" = the group of all, which there always is (it may be empty).
  [[nodiscard]] const Group* find(std::string_view model) const;
  [[nodiscard]] std::string_view served_name(std::string_view model) const;  ///< aliases followed
  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  [[nodiscard]] bool view_known() const { return view_known_; }
  [[nodiscard]] const BalancingSettings& settings() const { return settings_; }
  /// Highest live->slot + 1: size of per-thread arrays.
  [[nodiscard]] std::size_t slots() const { return slots_; }
  /// Some model's method is prefix_aware.
  [[nodiscard]] bool looks_at_prompts() const { return looks_at_prompts_; }
  /// Upstreams are ramping up: the table should be made again soon, so that weights follow.
  [[nodiscard]] bool ramping() const { return ramping_; }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Groups = std::unordered_map<std::string, std::unique_ptr<Group>, TextHash, std::equal_to<>>;

  void make_groups(TimePoint now, const RoutingTable* previous);
  /// nullptr when nobody is in it and it is not the group of all.
  [[nodiscard]] const Group* own_group(std::string_view model) const;

  std::vector<Upstream> upstreams_;
  BalancingSettings settings_;
  Groups groups_;
  std::unique_ptr<Group> all_, any_model_;
  std::uint64_t revision_ = 0;
  bool view_known_ = false;
  bool ramping_ = false;
  bool looks_at_prompts_ = false;
  std::size_t slots_ = 0;
};

/// Share of its weight that an upstream has at `now` while it ramps up: 0.1 to 1, linear.
[[nodiscard]] double ramp_share(const UpstreamLive& live, Duration slow_start, TimePoint now);

}  // namespace svc::router
