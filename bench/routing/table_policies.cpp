// Methods of the router that need no knowledge of prompts, by its own pick().
#include "bench/routing/policies.hpp"
#include "bench/routing/router_table.hpp"

namespace svc::routing {
namespace {

using router::Method;

class TablePolicy : public Policy {
 public:
  TablePolicy(const Fleet& fleet, Method method) : table_(fleet, settings_of(method)), random_(fleet.seed) {}

  std::optional<EngineIndex> choose(const Arrival& arrival, double now) override {
    router::PickContext context;
    context.now = time_point(now);
    context.random = random_();
    context.session_hash = session_key(arrival);
    return table_.pick(context);
  }

  void ended(const Arrival& /*arrival*/, EngineIndex engine, double /*now*/) override { table_.ended(engine); }

 private:
  static router::BalancingSettings settings_of(Method method) {
    router::BalancingSettings settings;
    settings.method = method;
    return settings;
  }

  /// The client's session; in a trace without any the second block, because the first one is often a system prompt
  /// that all share; or else the prompt is taken to be the only one of its session.
  static std::uint64_t session_key(const Arrival& arrival) {
    std::uint64_t key = arrival.request->session;
    char kind = 's';
    if (key == 0) {
      kind = arrival.blocks.empty() ? 'r' : 'b';
      key = arrival.blocks.empty() ? arrival.row : arrival.blocks[arrival.blocks.size() > 1 ? 1 : 0];
    }
    return router::hash_key(kind + std::to_string(key));
  }

  RouterTable table_;
  std::mt19937_64 random_;
};

}  // namespace

std::unique_ptr<Policy> make_round_robin(const Fleet& fleet) {
  return std::make_unique<TablePolicy>(fleet, Method::round_robin);
}
std::unique_ptr<Policy> make_random(const Fleet& fleet) { return std::make_unique<TablePolicy>(fleet, Method::random); }
std::unique_ptr<Policy> make_least_connections(const Fleet& fleet) {
  return std::make_unique<TablePolicy>(fleet, Method::least_connections);
}
std::unique_ptr<Policy> make_session(const Fleet& fleet) {
  return std::make_unique<TablePolicy>(fleet, Method::session);
}

}  // namespace svc::routing
