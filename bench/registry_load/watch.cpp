// watch: many long polls, one change at a time; how soon does each of them know?
#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/registry_load/load.hpp"

namespace svc::bench {
namespace {

// From the moment the last watcher has sent its poll until the change: the registry has parked them all by then.
constexpr Duration kSettle = std::chrono::milliseconds(20);

// Opens after `count` arrivals.
class Latch {
 public:
  Latch(const asio::any_io_executor& executor, std::size_t count) : timer_(executor, TimePoint::max()), left_(count) {}

  void arrive() {
    if (--left_ == 0) {
      timer_.cancel();
    }
  }
  void close(std::size_t count) { left_ = count; }
  asio::awaitable<void> wait() {
    while (left_ > 0) {
      co_await timer_.async_wait(kTok);
    }
  }

 private:
  Timer timer_;
  std::size_t left_;
};

struct Arrival {
  TimePoint first_byte, complete;
  std::uint64_t revision = 0;
};

struct Results {
  Samples update;  ///< the PUT itself: it is on the disk when it is answered
  Samples first_byte_after_sending, complete_after_sending, first_byte_after_answer, complete_after_answer;
  std::size_t missing = 0;
  std::size_t body_bytes = 0;
};

struct Watch {
  Run& run;
  const Options& options;
  Results& results;
  std::uint64_t first_revision;
  Latch parked, arrived, round_over;
  std::vector<Arrival> arrivals;  ///< of this round

  Watch(Run& of, const Options& with, Results& into, std::uint64_t revision)
      : run(of),
        options(with),
        results(into),
        first_revision(revision),
        parked(of.executor(), with.watchers),
        arrived(of.executor(), with.watchers),
        round_over(of.executor(), 1) {}

  /// nullopt when the run has failed.
  std::optional<Answer> take(std::string_view what, Result<Answer> answer) {
    if (answer && answer->status == 200) {
      return *std::move(answer);
    }
    run.fail(answer ? unexpected(what, *answer) : answer.error());
    return std::nullopt;
  }
};

asio::awaitable<void> watcher(Watch& watch) {
  Connection connection(watch.run.executor(), peer_of(watch.options));
  const auto opened = co_await connection.open();
  if (!opened) {
    watch.run.fail(opened.error());
    co_return;
  }
  auto since = watch.first_revision;
  for (std::size_t i = 0; i < watch.options.updates; ++i) {
    watch.parked.arrive();
    const auto poll = request_text(
        "GET", "/services?wait=60s&since=" + std::to_string(since) + (watch.options.changes ? "&changes=true" : ""));
    auto result = co_await connection.exchange(poll, BodyUse::discard);
    const auto answer = watch.take("a poll", std::move(result));
    if (!answer) {
      co_return;
    }
    since = answer->revision;
    watch.results.body_bytes = answer->body_bytes;
    watch.arrivals.push_back({answer->first_byte, answer->complete, answer->revision});
    watch.arrived.arrive();
    co_await watch.round_over.wait();
  }
}

void evaluate(Watch& watch, const Answer& update) {
  auto& results = watch.results;
  results.update.add(update.complete - update.sent);
  for (const auto& arrival : watch.arrivals) {
    if (arrival.revision < update.revision) {
      ++results.missing;
      continue;
    }
    results.first_byte_after_sending.add(arrival.first_byte - update.sent);
    results.complete_after_sending.add(arrival.complete - update.sent);
    // Watchers may hear of a change before its author: both are told once it is on the disk.
    results.first_byte_after_answer.add(std::max(Duration::zero(), arrival.first_byte - update.first_byte));
    results.complete_after_answer.add(std::max(Duration::zero(), arrival.complete - update.first_byte));
  }
}

asio::awaitable<void> updater(Watch& watch) {
  Connection connection(watch.run.executor(), peer_of(watch.options));
  const auto opened = co_await connection.open();
  if (!opened) {
    watch.run.fail(opened.error());
    co_return;
  }
  Timer settle(watch.run.executor());
  for (std::size_t i = 0; i < watch.options.updates; ++i) {
    co_await watch.parked.wait();
    settle.expires_after(kSettle);
    co_await settle.async_wait(kTok);
    watch.parked.close(watch.options.watchers);
    watch.round_over.close(1);
    watch.arrivals.clear();
    // Never the value that an earlier run gave it, which would be no change: revisions only rise, and a restart adds
    // up to a million.
    const auto weight = std::to_string((watch.first_revision + i) % 999'983);
    auto result = co_await connection.exchange(
        request_text("PUT", "/services/" + service_name(i), R"({"weight":)" + weight + "}"));
    const auto answer = watch.take("a PUT", std::move(result));
    if (!answer) {
      co_return;
    }
    co_await watch.arrived.wait();
    watch.arrived.close(watch.options.watchers);
    evaluate(watch, *answer);
    watch.round_over.arrive();
  }
}

}  // namespace

Report run_watch(const Options& options) {
  const auto health = call_once(options, request_text("GET", "/health"));
  if (!health) {
    return health.error();
  }
  const auto before = usage_of(options.pid);
  if (!before) {
    return before.error();
  }
  Results results;
  Run run(options);
  Watch watch(run, options, results, health->revision);
  for (std::size_t i = 0; i < options.watchers; ++i) {
    run.spawn(watcher(watch));
  }
  run.spawn(updater(watch));
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  if (results.missing > 0) {
    return internal_error(std::to_string(results.missing) + " updates did not reach a watcher");
  }
  const auto after = usage_of(options.pid);
  if (!after) {
    return after.error();
  }
  nlohmann::ordered_json report{{"watchers", options.watchers},
                                {"updates", options.updates},
                                {"protocol", options.changes ? "changes" : "list"},
                                {"body_bytes", results.body_bytes},
                                {"update", results.update.to_json()},
                                {"first_byte_after_sending", results.first_byte_after_sending.to_json()},
                                {"complete_after_sending", results.complete_after_sending.to_json()},
                                {"first_byte_after_answer", results.first_byte_after_answer.to_json()},
                                {"complete_after_answer", results.complete_after_answer.to_json()}};
  add_usage(report, *before, *after, options.updates * options.watchers);
  return report.dump();
}

}  // namespace svc::bench
