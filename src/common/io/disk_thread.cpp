#include "common/io/disk_thread.hpp"

#include <pthread.h>

#include <csignal>
#include <system_error>
#include <utility>

namespace svc {

bool DiskThread::start(const char* name, std::function<void()> work) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread has the mask of its maker
  try {
    thread_ = std::thread(std::move(work));
    ::pthread_setname_np(thread_.native_handle(), name);
  } catch (const std::system_error&) {
    // Said by started().
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started();
}

void DiskThread::leave() { thread_.detach(); }

}  // namespace svc
