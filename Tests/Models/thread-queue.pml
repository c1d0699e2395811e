/* The lock between threads with turns (Decisions, "Threads take turns").  Three threads take it twice each; any of them may have a deadline.

   spin -a [-DMUTANT] thread-queue.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
   Without a mutant: no errors.  Each mutant gives one:
     PARKS     who stands first goes to sleep without a look at whether the lock was lent
     LEAVES    who stands first gives up without one
     ASLEEP    the lock is lent though who stands first sleeps */
#define FREE 0
#define HELD 1
#define CONTENDED 2
#define LENT 3
#define WAITING 0
#define PARKED 1
#define GRANTED 2
#define THREADS 3
byte state = FREE;
byte word[THREADS];
byte line[THREADS], n;               /* who waits, in order */
bit mutex;
byte inside;

inline enter() { atomic { mutex == 0 -> mutex = 1 } }
inline leave() { assert(state != LENT || (n > 0 && word[line[0]] == WAITING)); mutex = 0 }

inline removeSelf() { d_step { i = 0;
  do :: i < n && line[i] != me -> i++ :: else -> break od; assert(i < n);
  n--; do :: i < n -> line[i] = line[i + 1]; i++ :: else -> break od; i = 0 } }

/* Under the mutex: what was lent, for who stands first. */
inline takeLent() {
  atomic { if :: line[0] == me && state == LENT -> state = (n > 1 -> CONTENDED : HELD); got = 1 :: else fi };
  if :: got -> removeSelf() :: else fi }

proctype T(byte me) { byte k, i, first; bit got, gone, patient;
  do :: k == 2 -> break
     :: k < 2 -> k++; got = 0; gone = 0; if :: patient = 1 :: patient = 0 fi;
        atomic { if :: state == FREE -> state = HELD; got = 1
                    :: state == LENT -> state = CONTENDED; got = 1      /* whoever comes first */
                    :: else fi };
        if :: !got -> enter();
              atomic { if :: state == FREE -> state = HELD; got = 1
                          :: state == LENT -> state = CONTENDED; got = 1
                          :: state == HELD -> state = CONTENDED
                          :: else fi };
              if :: !got -> d_step { word[me] = WAITING; line[n] = me; n++ } :: else fi;
              leave()
           :: else fi;
        do :: got || gone -> break
           :: !got && !gone && word[me] == GRANTED -> got = 1
           :: !got && !gone && word[me] == WAITING && state == LENT -> enter();
              if :: word[me] == GRANTED -> got = 1 :: else -> takeLent() fi; leave()
           :: !got && !gone && word[me] == WAITING -> enter();                       /* goes to sleep */
              if :: word[me] == GRANTED -> got = 1
                 :: else ->
#ifndef PARKS
                    takeLent();
#endif
                    if :: !got -> word[me] = PARKED :: else fi
              fi; leave()
           :: !got && !gone && !patient -> enter();                                             /* gives up */
              if :: word[me] == GRANTED -> got = 1
                 :: else ->
#ifndef LEAVES
                    takeLent();
#endif
                    if :: !got -> removeSelf(); gone = 1; if :: n == 0 -> state = HELD :: else fi
                       :: else fi
              fi; leave()
        od;
        if :: got ->
              inside++; assert(inside == 1); inside--;
              atomic { if :: state == HELD -> state = FREE; got = 0 :: else fi };
              if :: got -> enter(); assert(state == CONTENDED || state == HELD);
                    if :: n == 0 -> state = FREE
                       :: n > 1 ->                                                    /* its turn isn't over */
#ifndef ASLEEP
                          word[line[0]] = WAITING;
#endif
                          state = LENT
                       :: n > 0 -> d_step { first = line[0]; n--; line[0] = line[1]; line[1] = line[2] };
                          if :: n == 0 -> state = HELD :: else fi;
                          word[first] = GRANTED; first = 0
                    fi; leave()
                 :: else fi
           :: else fi
  od }

init { atomic { run T(0); run T(1); run T(2) };
  (_nr_pr == 1) -> assert(state == FREE && n == 0 && !mutex) }
