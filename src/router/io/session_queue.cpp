#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

void ClientSession::join_queue(double seconds) {
  auto& plane = thread_.plane();
  const auto wake = [thread = &thread_, id = id_, wait = x_.waiting ? wait_ : ++wait_] {
    thread->with_session(id, [wait](ClientSession& session) { session.leave_queue(wait); });
  };
  if (x_.waiting) {
    plane.queues.rejoin_front(x_.ticket, wake, !x_.tried.empty(), readiness());
  } else {
    const bool held = by_prefix() && prompt_state().held;
    WaitTerms terms{x_.priority, owner(), seconds, !x_.tried.empty(), held, readiness()};
    if (plane.queues.join(x_.group->model, now(), wake, x_.ticket, std::move(terms)) == WaitQueues::Joined::full) {
      refuse(FailureReason::queue_full, "the queue for model '" + x_.group->model + "' is full", {},
             plane.queues.retry_after(x_.group->model, now()));
      return;
    }
    x_.waiting = true;
  }
  state_ = State::queued;
  arm(x_.ticket.since + plane.queues.settings().max_wait - now());
}

void ClientSession::give_up_waiting() {
  if (!x_.waiting) {
    return;
  }
  x_.waiting = false;
  auto& queues = thread_.plane().queues;
  if (!queues.leave(x_.ticket)) {
    queues.slot_freed(x_.ticket.model);  // it was its turn: the next one's then
  }
}

void ClientSession::leave_queue(std::uint64_t wait) {
  if (state_ != State::queued || wait != wait_) {
    return;  // it left the queue on its own account, and passed the turn on then
  }
  x_.table = thread_.table();
  const Group* fresh = x_.table->find(x_.model);
  if (fresh == nullptr) {
    refuse_pick(PickProblem::none_usable);
    return;
  }
  x_.group = fresh;
  find_upstream(nullptr, {}, false);
}

}  // namespace svc::router
