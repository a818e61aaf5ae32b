#include "agent/io/start_teller.hpp"

#include <utility>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookOften = 100ms;
constexpr Duration kLookSeldom = 5s;
constexpr Duration kExtendEvery = 10s;
constexpr Duration kExtendBy = 60s;  ///< a main loop that is silent for so long starts nothing any more

}  // namespace

StartTeller::StartTeller(asio::any_io_executor executor, SdNotify& systemd,
                         std::function<std::vector<StartFacts>()> facts, std::function<void()> ready)
    : systemd_(systemd), facts_(std::move(facts)), ready_(std::move(ready)), timer_(executor) {}

void StartTeller::start(TaskGroup& tasks) { tasks.spawn("start teller", run()); }

void StartTeller::stop() {
  stopped_ = true;
  timer_.cancel();
}

asio::awaitable<void> StartTeller::run() {
  while (!stopped_) {
    look();
    timer_.expires_after(over_ ? kLookSeldom : kLookOften);
    co_await timer_.async_wait(kTok);
  }
}

void StartTeller::look() {
  StartReport report = report_start(facts_());
  if (report.text != said_) {
    said_ = std::move(report.text);
    systemd_.status(said_);
  }
  if (over_) {
    return;
  }
  if (report.over) {
    over_ = true;
    ready_();
  } else if (steady_now() >= extend_at_) {
    extend_at_ = steady_now() + kExtendEvery;
    systemd_.extend_start(kExtendBy);
  }
}

}  // namespace svc::agent
