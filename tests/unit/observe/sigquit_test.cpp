// SIGQUIT: shows all goroutines and ends the program, unless the program has other plans for it.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "runnel/runnel.h"
#include "support/death.h"
#include "support/scale.h"
#include "support/wait.h"

namespace {

using runnel::run;

class sigquit : public test::in_own_process {
 protected:
  static std::atomic<int> handled;
  static void on_quit(int) { ++handled; }

  static void no_core_file() {
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
  }
};
std::atomic<int> sigquit::handled{0};

TEST_F(sigquit, ends_the_program_with_what_goroutines_do) {
  EXPECT_EXIT(run([] {
                raise(SIGQUIT);
                runnel::select();
              }),
              test::exits_with_2, "SIGQUIT: quit\n\ngoroutine 1 \\[");
}

TEST_F(sigquit, ends_a_program_that_is_between_two_runs) {
  EXPECT_EXIT(
      {
        run([] {});
        raise(SIGQUIT);
        for (;;) pause();
      },
      test::exits_with_2, "SIGQUIT: quit\n$");
}

TEST_F(sigquit, stays_ignored_if_it_was) {
  EXPECT_EXIT(
      {
        signal(SIGQUIT, SIG_IGN);
        run([] { raise(SIGQUIT); });
        test::finish(true);
      },
      test::succeeds, "");
}

TEST_F(sigquit, goes_to_the_programs_handler_set_before) {
  EXPECT_EXIT(
      {
        signal(SIGQUIT, &on_quit);
        run([] { raise(SIGQUIT); });
        test::finish(handled == 1);
      },
      test::succeeds, "");
}

TEST_F(sigquit, goes_to_the_programs_handler_set_later) {
  EXPECT_EXIT(
      {
        run([] {
          signal(SIGQUIT, &on_quit);
          raise(SIGQUIT);
        });
        run([] { raise(SIGQUIT); });
        test::finish(handled == 2);
      },
      test::succeeds, "");
}

// It has no thread that could show anything.
TEST_F(sigquit, ends_a_forked_child_as_ever) {
  if (test::has_tsan) GTEST_SKIP() << "it calls handlers late, and the child has ended by then";
  EXPECT_EXIT(
      {
        no_core_file();
        run([] {
          pid_t child = fork();
          if (child == 0) {
            raise(SIGQUIT);
            _exit(7);
          }
          int status = 0;
          waitpid(child, &status, 0);
          test::finish(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
        });
      },
      test::succeeds, "");
}

}  // namespace
