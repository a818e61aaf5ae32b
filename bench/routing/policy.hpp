// A rule that says which engine gets a request, driven in virtual time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/routing/engine.hpp"
#include "bench/routing/trace.hpp"
#include "router/core/prefix/prefix_policy.hpp"

namespace svc::routing {

/// A request at the router's door.
struct Arrival {
  std::uint32_t row = 0;
  const Request* request = nullptr;
  Blocks blocks;
  double at = 0;
  std::uint32_t cached = 0;  ///< tokens that its engine had of it; known at its end

  [[nodiscard]] Job job() const { return {row, request->in, request->out, blocks}; }
};

using EngineIndex = std::size_t;

class Policy {
 public:
  struct Sent {
    Arrival arrival;
    EngineIndex engine;
  };

  Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  virtual ~Policy() = default;

  /// Where it goes; nullopt: it is held, and comes out of release().
  virtual std::optional<EngineIndex> choose(const Arrival& arrival, double now) = 0;
  /// One that was held and may go; asked after each event until there is none.
  virtual std::optional<Sent> release(double /*now*/) { return std::nullopt; }
  /// Its answer has begun, and has ended; both are known at once.
  virtual void first_token(const Arrival& /*arrival*/, EngineIndex /*engine*/, double /*now*/) {}
  virtual void ended(const Arrival& /*arrival*/, EngineIndex /*engine*/, double /*now*/) {}

  /// > 0: poll() is called so often (seconds), for what is read from engines now and then.
  [[nodiscard]] virtual double poll_interval() const { return 0; }
  virtual void poll(double /*now*/) {}
};

/// What a policy may know of its surroundings.
struct Fleet {
  const std::vector<Engine>& engines;  ///< for rules that are given their exact state
  std::uint64_t kv_tokens;             ///< that each engine says it has
  bool kv_stated;                      ///< it says so; else the router begins with its default and learns
  std::uint32_t block_tokens;
  router::PrefixSettings prefix;  ///< of the router's own policy
  std::uint64_t seed;             ///< of the dice for ties

  [[nodiscard]] std::size_t kv_blocks() const { return kv_tokens / block_tokens; }
};

struct PolicyKind {
  std::string_view name;
  std::string_view title;    ///< for tables
  std::string_view explain;  ///< one line of help
  bool foresight = false;    ///< asks engines for forecasts
  std::unique_ptr<Policy> (*make)(const Fleet& fleet) = nullptr;
};
[[nodiscard]] std::span<const PolicyKind> policy_kinds();
/// nullptr: no such policy.
[[nodiscard]] const PolicyKind* find_policy(std::string_view name);

/// The least (or, negated, the best) of some values; equals are drawn by lot.
class Least {
 public:
  explicit Least(std::mt19937_64& random) : random_(random) {}
  void offer(double value, EngineIndex engine) {
    if (equal_ > 0 && value > least_) return;
    if (equal_ == 0 || value < least_) equal_ = 0;
    least_ = value;
    if (++equal_ == 1 || random_() % equal_ == 0) engine_ = engine;
  }
  [[nodiscard]] EngineIndex engine() const { return engine_; }

 private:
  std::mt19937_64& random_;
  double least_ = 0;
  std::uint64_t equal_ = 0;
  EngineIndex engine_ = 0;
};

}  // namespace svc::routing
