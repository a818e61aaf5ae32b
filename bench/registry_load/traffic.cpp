// register and heartbeat: many small calls over a few connections.
#include <nlohmann/json.hpp>

#include "bench/registry_load/load.hpp"

namespace svc::bench {
namespace {

struct Traffic {
  const Options& options;
  TimePoint until = TimePoint::max();  ///< no further call after this
  std::size_t calls = SIZE_MAX;        ///< nor after so many
  int expected_status = 200;
  std::string (*request)(std::size_t number, const Options& options) = nullptr;

  std::size_t started = 0;
  std::size_t done = 0;
  Samples latency{};
};

// A record as a server of one model registers it: about 300 bytes of metadata.
std::string registration(std::size_t number, const Options&) {
  const auto port = std::to_string(20'000 + number % 40'000);
  const auto host = "127.0." + std::to_string(number / 250 % 250) + "." + std::to_string(number % 250 + 1);
  const auto name = service_name(number);
  std::string body = R"({"name":")" + name + R"(","host":")" + host + R"(","port":)" + port +
                     R"(,"hostname":"gpu-node-)" + std::to_string(number / 8) + R"(","url":"http://)" + host + ":" +
                     port + R"(","status":"running","weight":1,"models":["Qwen3-32B","Qwen3-32B-Instruct"],)" +
                     R"("metadata":{"type":"openai-api","framework":"InfiniLM","version":"0.1.0","device":"gpu",)" +
                     R"("device_ids":[0,1,2,3],"tensor_parallel":4,"max_model_len":32768,"max_tokens":4096,)" +
                     R"("models":["Qwen3-32B","Qwen3-32B-Instruct"],"rack":"r)" + std::to_string(number % 40) +
                     R"(","zone":"zone-)" + std::to_string(number % 3) +
                     R"(","started_by":"infinilm-agent","instance":")" + name +
                     R"(-0001","labels":{"team":"serving","tier":"production"}}})";
  return request_text("POST", "/services", body);
}

std::string heartbeat(std::size_t number, const Options& options) {
  return request_text("POST", "/services/" + service_name(number % options.names) + "/heartbeat");
}

asio::awaitable<void> one_connection(Run& run, Traffic& traffic) {
  Connection connection(run.executor(), peer_of(traffic.options));
  const auto opened = co_await connection.open();
  if (!opened) {
    run.fail(opened.error());
    co_return;
  }
  while (traffic.started < traffic.calls && steady_now() < traffic.until) {
    const auto text = traffic.request(traffic.started++, traffic.options);
    const auto answer = co_await connection.exchange(text);
    if (!answer) {
      run.fail(answer.error());
      co_return;
    }
    if (answer->status != traffic.expected_status) {
      run.fail(unexpected(text.substr(0, text.find('\r')), *answer));
      co_return;
    }
    ++traffic.done;
    traffic.latency.add(answer->complete - answer->sent);
  }
}

Report run_traffic(const Options& options, Traffic traffic) {
  const auto before = usage_of(options.pid);
  if (!before) {
    return before.error();
  }
  const TimePoint start = steady_now();
  Run run(options);
  for (std::size_t i = 0; i < options.connections; ++i) {
    run.spawn(one_connection(run, traffic));
  }
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  const auto took = seconds(steady_now() - start);
  const auto after = usage_of(options.pid);
  if (!after) {
    return after.error();
  }
  nlohmann::ordered_json report{{"calls", traffic.done},
                                {"connections", options.connections},
                                {"seconds", took},
                                {"calls_per_second", static_cast<double>(traffic.done) / took},
                                {"latency", traffic.latency.to_json()}};
  add_usage(report, *before, *after, traffic.done);
  if (after->cpu > before->cpu) {
    report["calls_per_cpu_second"] = static_cast<double>(traffic.done) / seconds(after->cpu - before->cpu);
  }
  return report.dump();
}

}  // namespace

Report run_register(const Options& options) {
  Traffic traffic{options};
  traffic.calls = options.count;
  traffic.expected_status = 201;
  traffic.request = registration;
  return run_traffic(options, std::move(traffic));
}

Report run_heartbeat(const Options& options) {
  Traffic traffic{options};
  traffic.until = steady_now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.seconds));
  traffic.request = heartbeat;
  return run_traffic(options, std::move(traffic));
}

}  // namespace svc::bench
