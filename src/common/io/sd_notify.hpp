// Tells systemd how the daemon is (sd_notify(3): Type=notify, WatchdogSec=). Without NOTIFY_SOCKET in the environment,
// or built without libsystemd (SVC_HAVE_SYSTEMD), every call does nothing. A failed notification is ignored: systemd
// acts on the missing message by itself.
#pragma once

#include <memory>
#include <string>

#include "common/core/clock.hpp"

namespace boost::asio {
class io_context;
}

namespace svc {

/// Belongs to the thread that runs the io_context.
class SdNotify {
 public:
  explicit SdNotify(boost::asio::io_context& io);
  ~SdNotify();
  SdNotify(const SdNotify&) = delete;
  SdNotify& operator=(const SdNotify&) = delete;

  void ready() const;                          ///< READY=1; also ends a reload
  void reloading() const;                      ///< RELOADING=1 with MONOTONIC_USEC; follow it by ready()
  void stopping() const;                       ///< STOPPING=1
  void extend_start(Duration time) const;      ///< EXTEND_TIMEOUT_USEC: until ready(), say something again within this
  void status(const std::string& text) const;  ///< STATUS=: one line for `systemctl status`

  /// When systemd asked for it (WATCHDOG_USEC for this process): WATCHDOG=1 now and at every half of that time, from
  /// the io_context, so that a main loop that hangs is noticed. Keeps the io_context busy until stop_watchdog().
  void start_watchdog();
  void stop_watchdog();

 private:
  struct Watchdog;
  boost::asio::io_context& io_;
  std::shared_ptr<Watchdog> watchdog_;
};

}  // namespace svc
