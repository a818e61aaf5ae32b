#include "common/io/sd_notify.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>

#ifdef SVC_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace svc {
namespace {

void notify(const std::string& state) {
#ifdef SVC_HAVE_SYSTEMD
  ::sd_notify(0, state.c_str());
#else
  (void)state;
#endif
}

/// Zero: systemd does not watch this process.
Duration watchdog_time() {
#ifdef SVC_HAVE_SYSTEMD
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) > 0) {
    // A day is as good as any longer time, and cannot overflow.
    constexpr std::uint64_t kDay = 86'400'000'000;
    return std::chrono::microseconds(microseconds < kDay ? microseconds : kDay);
  }
#endif
  return Duration::zero();
}

}  // namespace

struct SdNotify::Watchdog : std::enable_shared_from_this<Watchdog> {
  Watchdog(boost::asio::io_context& io, Duration half) : timer(io), interval(half) {}

  void beat() {
    notify("WATCHDOG=1");
    timer.expires_after(interval);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->stopped) self->beat();
    });
  }

  boost::asio::steady_timer timer;
  Duration interval;
  bool stopped = false;
};

SdNotify::SdNotify(boost::asio::io_context& io) : io_(io) {}

SdNotify::~SdNotify() { stop_watchdog(); }

void SdNotify::ready() const { notify("READY=1"); }

void SdNotify::reloading() const {
  // systemd compares this with its own clock, which is CLOCK_MONOTONIC as ours is.
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(steady_now().time_since_epoch()).count();
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now));
}

void SdNotify::stopping() const { notify("STOPPING=1"); }

void SdNotify::extend_start(Duration time) const {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  notify("EXTEND_TIMEOUT_USEC=" + std::to_string(microseconds));
}

void SdNotify::status(const std::string& text) const { notify("STATUS=" + text.substr(0, text.find('\n'))); }

void SdNotify::start_watchdog() {
  const Duration time = watchdog_time();
  if (time == Duration::zero() || watchdog_) return;
  watchdog_ = std::make_shared<Watchdog>(io_, time / 2);
  watchdog_->beat();
}

void SdNotify::stop_watchdog() {
  if (!watchdog_) return;
  watchdog_->stopped = true;
  watchdog_->timer.cancel();
  watchdog_.reset();
}

}  // namespace svc
