// list: GET /services, one call after the other. ready: how long a start takes.
#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json.hpp>

#include "bench/registry_load/load.hpp"
#include "common/core/time_text.hpp"

namespace svc::bench {
namespace {

struct Lists {
  std::string request;
  Samples latency, first_byte;
  std::size_t body_bytes = 0;
};

asio::awaitable<void> read_lists(Run& run, const Options& options, Lists& lists) {
  Connection connection(run.executor(), peer_of(options));
  const auto opened = co_await connection.open();
  if (!opened) {
    run.fail(opened.error());
    co_return;
  }
  for (std::size_t i = 0; i < options.requests; ++i) {
    const auto answer = co_await connection.exchange(lists.request);
    if (!answer) {
      run.fail(answer.error());
      co_return;
    }
    if (answer->status != 200) {
      run.fail(unexpected("GET /services", *answer));
      co_return;
    }
    lists.latency.add(answer->complete - answer->sent);
    lists.first_byte.add(answer->first_byte - answer->sent);
    lists.body_bytes = answer->body_bytes;
  }
}

struct Start {
  const Options& options;
  double healthy_after = 0;  ///< seconds from the start to the first 200 of /health
  double list_after = 0;     ///< to the end of the list
  std::size_t services = 0;
};

// A refused connection or a 503 is what a start looks like from outside; the run's limit ends the waiting.
asio::awaitable<void> wait_until_ready(Run& run, Start& start) {
  Timer pause(run.executor());
  while (true) {
    Connection connection(run.executor(), peer_of(start.options));
    const auto opened = co_await connection.open();
    if (opened) {
      const auto health = co_await connection.exchange(request_text("GET", "/health"));
      if (health && health->status == 200) {
        start.healthy_after = epoch_seconds(wall_now()) - start.options.started_at;
        auto list = co_await connection.exchange(request_text("GET", "/services"), BodyUse::keep);
        start.list_after = epoch_seconds(wall_now()) - start.options.started_at;
        if (!list || list->status != 200) {
          run.fail(list ? unexpected("the first GET /services", *list) : list.error());
          co_return;
        }
        const auto document = nlohmann::json::parse(list->body, nullptr, false);
        start.services = document.is_object() ? document.value("services", nlohmann::json::array()).size() : 0;
        co_return;
      }
    }
    pause.expires_after(std::chrono::milliseconds(1));
    co_await pause.async_wait(kTok);
  }
}

}  // namespace

Report run_list(const Options& options) {
  Lists lists;
  lists.request = request_text("GET", options.query.empty() ? "/services" : "/services?" + options.query);
  const auto before = usage_of(options.pid);
  if (!before) {
    return before.error();
  }
  Run run(options);
  run.spawn(read_lists(run, options, lists));
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  const auto after = usage_of(options.pid);
  if (!after) {
    return after.error();
  }
  nlohmann::ordered_json report{{"calls", options.requests},
                                {"body_bytes", lists.body_bytes},
                                {"latency", lists.latency.to_json()},
                                {"first_byte", lists.first_byte.to_json()}};
  add_usage(report, *before, *after, options.requests);
  return report.dump();
}

Report run_ready(const Options& options) {
  Start start{options};
  Run run(options);
  run.spawn(wait_until_ready(run, start));
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  if (start.services != options.expected) {
    return internal_error("the first list has " + std::to_string(start.services) + " services, not " +
                          std::to_string(options.expected));
  }
  const auto usage = usage_of(options.pid);
  if (!usage) {
    return usage.error();
  }
  nlohmann::ordered_json report{
      {"services", start.services}, {"health_after_s", start.healthy_after}, {"list_after_s", start.list_after}};
  add_usage(report, Usage{}, *usage, 0);
  return report.dump();
}

}  // namespace svc::bench
