#include <utility>

#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {

void ClientSession::join_queue(double seconds) {
  auto& plane = thread_.plane();
  const auto wake = [thread = &thread_, id = id_, wait = x().waiting ? wait_ : ++wait_](WaitQueues::Call call) {
    thread->with_session(id, [wait, call](ClientSession& session) { session.leave_queue(wait, call); });
  };
  if (x().waiting) {
    plane.queues.rejoin_front(x().ticket, wake, !x().tried.empty(), readiness());
  } else {
    const bool held = by_prefix() && prompt_state().held;
    WaitTerms terms{x().priority, owner(), seconds, !x().tried.empty(), held, readiness()};
    if (plane.queues.join(x().group->model, now(), wake, x().ticket, std::move(terms)) == WaitQueues::Joined::full) {
      refuse(FailureReason::queue_full, "the queue for model '" + x().group->model + "' is full", {},
             plane.queues.retry_after(x().group->model, now()));
      return;
    }
    x().waiting = true;
  }
  state_ = State::queued;
  arm(x().ticket.since + plane.queues.settings().max_wait - now());
}

void ClientSession::give_up_waiting() {
  if (!x().waiting) {
    return;
  }
  x().waiting = false;
  auto& queues = thread_.plane().queues;
  if (!queues.leave(x().ticket)) {
    queues.slot_freed(x().ticket.model);  // it was its turn: the next one's then
  }
}

void ClientSession::leave_queue(std::uint64_t wait, WaitQueues::Call call) {
  if (state_ != State::queued || wait != wait_) {
    return;  // it left the queue on its own account, and passed the turn on then
  }
  if (call == WaitQueues::Call::displaced) {
    x().waiting = false;
    refuse(FailureReason::queue_full,
           "the queue for model '" + x().group->model +
               "' is full, and this request's place went to one of a higher class or of a key with fewer waiting",
           {}, thread_.plane().queues.retry_after(x().group->model, now()));
    return;
  }
  // A refusal still speaks of the group that it waited for.
  const auto waited_for = std::exchange(x().table, thread_.table());
  const Group* fresh = x().table->find(x().model);
  if (fresh == nullptr) {
    refuse_pick(PickProblem::none_usable);
    return;
  }
  x().group = fresh;
  find_upstream(nullptr, {}, false);
}

}  // namespace svc::router
