#include "agent/core/engine_requests.hpp"

#include <gtest/gtest.h>

namespace svc::agent {
namespace {

using Number = std::optional<std::uint64_t>;

TEST(EngineRequests, Pages) {
  const struct {
    const char* page;
    Number running, waiting;
  } rows[] = {
      {"# HELP vllm:num_requests_running Number of requests.\n# TYPE vllm:num_requests_running gauge\n"
       "vllm:num_requests_running{model_name=\"m\"} 3.0\nvllm:num_requests_waiting{model_name=\"m\"} 12.0\n",
       3, 12},
      {"vllm:num_requests_running{engine=\"0\",model_name=\"a}b\\\" {\"} 1.0\r\n"
       "vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 4 1795479867838\n",
       5, std::nullopt},
      {"sglang:num_running_reqs{model_name=\"m\"} 0.0\nsglang:num_queue_reqs{model_name=\"m\"} 1e3", 0, 1000},
      {"llamacpp:requests_processing 2\nllamacpp:requests_deferred 7\n", 2, 7},
      {"llamacpp:requests_processing\t2\n", 2, std::nullopt},
      {"vllm:num_requests_running_total{m=\"\"} 9\nxvllm:num_requests_running 9\n#vllm:num_requests_running 9\n",
       std::nullopt, std::nullopt},
      {"vllm:num_requests_running NaN\nvllm:num_requests_waiting +Inf\n", std::nullopt, std::nullopt},
      {"vllm:num_requests_running -1\nvllm:num_requests_waiting 1.5\n", std::nullopt, std::nullopt},
      {"vllm:num_requests_running 1000001\nvllm:num_requests_waiting 7x\n", std::nullopt, std::nullopt},
      {"vllm:num_requests_running{model=\"never closed 3\nvllm:num_requests_waiting{} 3\n", std::nullopt, 3},
      {"vllm:num_requests_running\nvllm:num_requests_waiting ", std::nullopt, std::nullopt},
      {"<html>vllm:num_requests_running 3</html>", std::nullopt, std::nullopt},
      {"", std::nullopt, std::nullopt},
  };
  for (const auto& row : rows) {
    const EngineRequests found = parse_engine_requests(row.page);
    EXPECT_EQ(found.running, row.running) << row.page;
    EXPECT_EQ(found.waiting, row.waiting) << row.page;
    EXPECT_EQ(found.known(), row.running || row.waiting) << row.page;
  }
}

}  // namespace
}  // namespace svc::agent
