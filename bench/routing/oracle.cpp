// The bound to compare with: knows every cache, every queue and the length of every answer, and takes the engine where
// this request gets its first token soonest, with a price for the answers that its prefill slows down. Greedy: it does
// not know what comes next, so a rule may be better than it.
#include "bench/routing/policies.hpp"

namespace svc::routing {
namespace {

constexpr double kDisturbance = 0.05;  // of own prefill, for each request that decodes there

class Oracle : public Policy {
 public:
  explicit Oracle(const Fleet& fleet) : fleet_(fleet), random_(fleet.seed) {}

  std::optional<EngineIndex> choose(const Arrival& arrival, double now) override {
    Least least(random_);
    const auto job = arrival.job();
    for (EngineIndex i = 0; i < fleet_.engines.size(); ++i) {
      const auto& engine = fleet_.engines[i];
      const auto cached = engine.expected_depth(arrival.blocks) * fleet_.block_tokens;
      const auto prefill = engine.model().prefill(job.in, std::min<std::uint64_t>(cached, job.in - 1));
      least.offer(
          engine.first_token_if(now, job) - now + kDisturbance * prefill * static_cast<double>(engine.decoding()), i);
    }
    return least.engine();
  }

 private:
  const Fleet fleet_;
  std::mt19937_64 random_;
};

}  // namespace

std::unique_ptr<Policy> make_oracle(const Fleet& fleet) { return std::make_unique<Oracle>(fleet); }

}  // namespace svc::routing
