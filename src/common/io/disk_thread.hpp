// A thread that may wait in the kernel for a disk that hangs, and may have to be left behind there.
#pragma once

#include <functional>
#include <thread>

namespace svc {

/// From one thread. To be joined or left before it is destroyed.
class DiskThread {
 public:
  /// `name`: at most 15 characters. The thread takes no signals. False: there can be none at present.
  bool start(const char* name, std::function<void()> work);
  [[nodiscard]] bool started() const { return thread_.joinable(); }  ///< and neither joined nor left
  void join() { thread_.join(); }
  /// Nobody waits for it any more: it must own, or share, whatever it touches.
  void leave();

 private:
  std::thread thread_;
};

}  // namespace svc
