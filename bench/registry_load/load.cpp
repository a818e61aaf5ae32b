#include "bench/registry_load/load.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

namespace svc::bench {
namespace {

asio::awaitable<void> call(Run& run, tcp::endpoint peer, const std::string& request, Answer& into) {
  Connection connection(run.executor(), std::move(peer));
  const auto opened = co_await connection.open();
  if (!opened) {
    run.fail(opened.error());
    co_return;
  }
  auto answer = co_await connection.exchange(request, BodyUse::keep);
  if (!answer) {
    run.fail(answer.error());
    co_return;
  }
  into = *std::move(answer);
}

}  // namespace

void Run::spawn(asio::awaitable<void> task) {
  asio::co_spawn(loop_, std::move(task), [](const std::exception_ptr& escaped) {
    if (escaped) {
      std::rethrow_exception(escaped);  // out of finish(): a bug
    }
  });
}

void Run::fail(Error error) {
  if (!error_) {
    error_ = std::move(error);
    loop_.stop();
  }
}

Result<void> Run::finish() {
  loop_.run_for(std::chrono::seconds(options_.limit_seconds));
  if (error_) {
    return *error_;
  }
  if (!loop_.stopped()) {
    return timed_out("not done after " + std::to_string(options_.limit_seconds) + " s");
  }
  return {};
}

tcp::endpoint peer_of(const Options& options) { return {asio::ip::make_address(options.host), options.port}; }

std::string service_name(std::size_t number) {
  const auto digits = std::to_string(number);
  return "bench-" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
}

Result<Answer> call_once(const Options& options, const std::string& request) {
  Answer answer;
  Run run(options);
  run.spawn(call(run, peer_of(options), request, answer));
  const auto finished = run.finish();
  if (!finished) {
    return finished.error();
  }
  return answer;
}

Result<std::size_t> healthy_services(const Options& options) {
  const auto answer = call_once(options, request_text("GET", "/health"));
  if (!answer) {
    return answer.error();
  }
  if (answer->status != 200) {
    return unavailable("/health answered " + std::to_string(answer->status));
  }
  const auto document = nlohmann::json::parse(answer->body, nullptr, false);
  return document.is_object() ? document.value("healthy_services", std::size_t{0}) : std::size_t{0};
}

Error unexpected(std::string_view what, const Answer& answer) {
  return protocol_error(std::string(what) + " was answered " + std::to_string(answer.status), answer.body);
}

}  // namespace svc::bench
