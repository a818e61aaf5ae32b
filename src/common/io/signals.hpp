// The signals of a daemon, delivered on its io_context.
#pragma once

#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace svc {

/// Called on the thread that runs the io_context. Every function must be set.
struct SignalHandlers {
  std::function<void()> on_stop;      ///< first SIGTERM or SIGINT
  std::function<void()> on_stop_now;  ///< every further one
  std::function<void()> on_reload;    ///< SIGHUP
};

/// While it lives these signals are caught (also before the io_context runs: they wait until it does) and SIGPIPE is
/// ignored (for good: a peer that hangs up must never end a daemon). It keeps the io_context busy until close(). One per
/// process at a time. After the destructor SIGTERM and SIGINT are ignored: the process is about to leave.
class Signals {
 public:
  Signals(boost::asio::io_context& io, SignalHandlers handlers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Calls no handler after this; the signals stay caught, without effect, until the destructor. May be called from a
  /// handler, and twice.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// SIGPIPE is ignored from here on.
void ignore_sigpipe();

}  // namespace svc
