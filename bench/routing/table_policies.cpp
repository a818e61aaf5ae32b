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
    context.session_hash = router::hash_key(session_name(*arrival.request, arrival.blocks, arrival.row));
    return table_.pick(context);
  }

  void ended(const Arrival& /*arrival*/, EngineIndex engine, double /*now*/) override { table_.ended(engine); }

 private:
  static router::BalancingSettings settings_of(Method method) {
    router::BalancingSettings settings;
    settings.method = method;
    return settings;
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
