// reconnect: every agent anew, each over a connection of its own, as after a restart of the registry: all at once, or
// each at a random moment of --spread seconds, as agents with jitter do.
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/registry_load/load.hpp"
#include "common/io/random.hpp"

namespace svc::bench {
namespace {

struct Burst {
  const Options& options;
  TimePoint start;
  Duration in_time;
  std::size_t in_time_count = 0, late = 0, refused = 0;
  std::string first_failure{};
  Duration spread{};                ///< 0: all at once
  Samples connected{}, answered{};  ///< since the burst began, or with a spread since the agent's own start
};

void note_failure(Burst& burst, const Error& error) {
  ++burst.refused;
  if (burst.first_failure.empty()) {
    burst.first_failure = error.to_string();
  }
}

// The connection outlives the agent's call: agents keep theirs.
asio::awaitable<void> agent(Burst& burst, std::size_t number, Connection& connection, Duration delay) {
  Timer jitter(co_await asio::this_coro::executor, burst.start + delay);
  co_await jitter.async_wait(kTok);
  const TimePoint begun = burst.spread == Duration::zero() ? burst.start : steady_now();
  const auto opened = co_await connection.open();
  if (!opened) {
    note_failure(burst, opened.error());
    co_return;
  }
  burst.connected.add(steady_now() - begun);
  const auto answer =
      co_await connection.exchange(request_text("POST", "/services/" + service_name(number) + "/heartbeat"));
  if (!answer || answer->status != 200) {
    note_failure(burst, answer ? unexpected("a heartbeat", *answer) : answer.error());
    co_return;
  }
  burst.answered.add(answer->complete - begun);
  ++(answer->complete - burst.start <= burst.in_time ? burst.in_time_count : burst.late);
}

}  // namespace

Report run_reconnect(const Options& options) {
  const auto before = usage_of(options.pid);
  if (!before) {
    return before.error();
  }
  Run run(options);
  std::vector<std::unique_ptr<Connection>> connections;
  for (std::size_t i = 0; i < options.agents; ++i) {
    connections.push_back(std::make_unique<Connection>(run.executor(), peer_of(options)));
  }
  Burst burst{options, steady_now(),
              std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds))};
  burst.spread = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.spread));
  Random random;
  for (std::size_t i = 0; i < options.agents; ++i) {
    const Duration delay =
        burst.spread == Duration::zero()
            ? Duration::zero()
            : Duration(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(burst.spread.count())));
    run.spawn(agent(burst, i, *connections[i], delay));
  }
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  const auto after = usage_of(options.pid);
  if (!after) {
    return after.error();
  }
  connections.clear();
  const auto healthy = healthy_services(options);
  if (!healthy) {
    return healthy.error();
  }
  nlohmann::ordered_json report{
      {"agents", options.agents},    {"in_time", burst.in_time_count},         {"late", burst.late},
      {"failed", burst.refused},     {"connected", burst.connected.to_json()}, {"answered", burst.answered.to_json()},
      {"healthy_services", *healthy}};
  if (burst.refused > 0) {
    report["first_failure"] = burst.first_failure;
  }
  add_usage(report, *before, *after, options.agents);
  return report.dump();
}

}  // namespace svc::bench
