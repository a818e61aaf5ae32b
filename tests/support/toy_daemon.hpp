// A daemon that does what a script says and writes down which steps it went through.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/core/option_table.hpp"
#include "common/io/daemon.hpp"

namespace svc::test {

struct ToyConfig : DaemonConfig {
  ToyConfig() {
    table.integer("port", port, 1, 65535, "Port")
        .duration("drain_timeout", drain, Duration::zero(), std::chrono::hours(1), "Longest drain");
    add_log_options(table, log_settings);
  }
  OptionTable& options() override { return table; }
  [[nodiscard]] const LogSettings& log() const override { return log_settings; }
  [[nodiscard]] Duration drain_timeout() const override { return drain; }
  Result<void> read_extra(const nlohmann::json& file) override {
    if (file.contains("servers") && !file.at("servers").is_array()) return invalid("'servers' must be an array");
    return {};
  }
  Result<void> validate() override {
    if (port == 13) return invalid("'toy.port' 13 brings bad luck");
    return {};
  }

  int port = 80;
  Duration drain = std::chrono::seconds(30);
  LogSettings log_settings;
  OptionTable table{"toy", "SVC_TOY"};
};

/// What the toy does at each step; the steps it went through are in `steps`.
struct Script {
  std::vector<std::string> steps;
  Result<void> bind, start, reload;
  std::function<void(boost::asio::io_context&)> on_started;
  std::function<void(boost::asio::io_context&)> on_reloaded;
  bool drain_throws = false;
  bool drain_hangs = false;
  std::function<void()> on_drain;
};

class ToyApp : public DaemonApp {
 public:
  ToyApp(boost::asio::io_context& io, Script& script) : io_(io), script_(script) {}
  Result<void> bind() override {
    script_.steps.emplace_back("bind");
    return script_.bind;
  }
  Result<void> start() override {
    script_.steps.emplace_back("start");
    if (script_.on_started) boost::asio::post(io_, [this] { script_.on_started(io_); });
    return script_.start;
  }
  Result<void> reload(const DaemonConfig& fresh) override {
    script_.steps.push_back("reload port " + std::to_string(static_cast<const ToyConfig&>(fresh).port));
    if (script_.on_reloaded) boost::asio::post(io_, [this] { script_.on_reloaded(io_); });
    return script_.reload;
  }
  boost::asio::awaitable<void> drain(Deadline deadline) override {
    script_.steps.emplace_back("drain");
    if (script_.on_drain) script_.on_drain();
    if (script_.drain_throws) throw std::runtime_error("drain broke");
    if (script_.drain_hangs) {
      boost::asio::steady_timer never(io_);
      never.expires_at(boost::asio::steady_timer::time_point::max());
      const auto [error] = co_await never.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      script_.steps.push_back(error ? "drain cancelled" : "drain woke");
    }
    if (deadline.is_never()) script_.steps.emplace_back("no deadline");
  }
  void stop() override { script_.steps.emplace_back("stop"); }

 private:
  boost::asio::io_context& io_;
  Script& script_;
};

}  // namespace svc::test
