#include "common/io/deadline_guard.hpp"

namespace svc {

DeadlineGuard::DeadlineGuard(asio::any_io_executor executor, Stream& stream, Deadline deadline)
    : state_(std::make_shared<State>(State{&stream})), timer_(executor, deadline.when()) {
  timer_.async_wait([state = state_](const error_code& ec) {
    if (!ec && state->stream) {
      state->expired = true;
      state->stream->abort();
    }
  });
}

DeadlineGuard::~DeadlineGuard() { state_->stream = nullptr; }

}  // namespace svc
