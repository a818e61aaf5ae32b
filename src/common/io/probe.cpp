#include "common/io/probe.hpp"

namespace svc {

asio::awaitable<ProbeOutcome> http_probe(HttpClient& client, std::string url, Duration timeout) {
  const TimePoint begun = steady_now();
  ProbeOutcome outcome;
  outcome.url = std::move(url);
  auto parsed = parse_http_url(outcome.url);
  if (!parsed) {
    outcome.error = parsed.error().to_string();
    co_return outcome;
  }
  HttpCall call;
  call.url = *std::move(parsed);
  call.head_only = true;
  const auto reply = co_await client.call(std::move(call), Deadline::after(begun, timeout));
  outcome.took = steady_now() - begun;
  if (!reply) {
    outcome.refused = reply.error().code == Errc::connect_failed;
    outcome.unsent = reply.error().code == Errc::io_error;
    outcome.error = reply.error().to_string();
    co_return outcome;
  }
  outcome.status = reply->status;
  outcome.healthy = reply->status >= 200 && reply->status < 300;
  if (!outcome.healthy) {
    outcome.error = "status " + std::to_string(reply->status);
  }
  co_return outcome;
}

}  // namespace svc
