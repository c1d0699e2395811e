/* Slots below the head (Decisions; FORMAT 13).  One key with two places for its slot; two writers, of which each lets go of what lies
   below the head when it likes; a reader; a snapshot.  A position is a byte; version v of the key is the number of writes before it.

   spin -a [-DMUTANT] mappings.pml && gcc -O2 -DSAFETY -DVECTORSZ=2048 -o pan pan.c && ./pan -m100000
   Without a mutant: no errors.  Each mutant gives one:
     BYMAPPING    a writer goes by what its process has mapped: the key comes to stand in two slots, and a write is built upon nothing
     UNCOMMITTED  it goes by a head that isn't committed: what readers still need is at the end of no chain
     FIRSTSLOT    a snapshot believes the first slot of the key
     EARLY        a place below the head is used again before floor says so
     ABOVE        a snapshot has expired only where floor lies above its end */
#define N 12
byte T = 2, H = 1;                    /* committed end and head, one word */
byte floor = 0;                       /* nobody is promised what lies below */
byte tail = 2;
byte prev[N], val[N]; bit isput[N];   /* the log */
byte s[2];                            /* places, in the order of a probe; 0: vacant */
byte low[2];                          /* each process has mapped what lies at or above it */
byte was[N];                          /* the value as of each T */
byte lock;

inline look(h, at) {                  /* of a writer: the place of the key, else the first vacant one */
  at = 2; j = 0;
  do :: j < 2 ->
#ifdef BYMAPPING
        if :: s[j] != 0 && s[j] >= low[me] && at == 2 -> at = j :: else fi;
#else
        if :: s[j] != 0 && s[j] >= h && at == 2 -> at = j :: else fi;
#endif
        j++
     :: else -> break od;
  known = (at < 2); 
#ifdef EARLY
  if :: !known -> j = 0; do :: j < 2 && s[j] >= h -> j++ :: else -> break od; at = j :: else fi }
#else
  if :: !known -> j = 0; do :: j < 2 && s[j] != 0 && (s[j] >= floor || s[j] >= h) -> j++ :: else -> break od; at = j :: else fi }
#endif

inline add(h) {                       /* reads the value, writes the next one; h: the head that slots are held against */
  d_step { look(h, place); assert(place < 2); assert(tail < N);
    old = (known && s[place] >= myhead -> val[s[place]] : 0);
    assert(old == mine);              /* no write is built upon anything but the newest */
    isput[tail] = 1; val[tail] = old + 1; mine = old + 1;
    prev[tail] = (known -> (s[place] >= first -> prev[s[place]] : s[place]) : 0); j = 0; old = 0 };
  s[place] = tail; tail++ }

inline begin() { atomic { lock == 0 -> lock = 1 }; myhead = H; first = tail; mine = was[T] }
inline commit() { d_step { was[tail] = mine; T = tail; H = myhead }; lock = 0; place = 0; known = 0; first = 0; mine = 0; myhead = 0 }
#ifdef UNCOMMITTED
#define HELD myhead
#else
#define HELD H
#endif

proctype W(byte me; byte plan) { byte place, old, j, first, mine, myhead; bit known;
  if :: low[me] = H :: skip fi;       /* lets go of what lies below the head, or not */
  begin();
  if :: plan == 0 -> d_step { myhead = tail; mine = 0; tail++ }          /* clear */
     :: plan == 1 -> add(HELD)
     :: plan == 2 -> d_step { myhead = tail; mine = 0; tail++ }; add(HELD)   /* clear, and write in the same transaction */
  fi;
  commit();
  if :: low[me] = H :: skip fi;
  begin(); add(HELD); commit();
  if :: low[me] = H :: skip fi;
  begin(); add(HELD); commit() }

proctype R() { byte t, h, r, j, found;   /* DESIGN 5, of a reader that is mapped from the beginning on */
again: skip; d_step { t = T; h = H }; found = 0; j = 0;
  do :: j < 2 -> r = s[j];
        if :: r != 0 && r < h -> if :: T != t -> goto again :: else fi
           :: r != 0 && r >= h ->
              do :: r >= t -> r = prev[r]; if :: r == 0 || r < h -> if :: T != t -> goto again :: else -> goto absent fi :: else fi
                 :: else -> break od;
              found = val[r]; goto done
           :: else fi; j++
     :: else -> break od;
absent: found = 0;
done: assert(found == was[t]  || T != t) }

proctype S() { byte t, h, r, j, found;   /* a snapshot; what it needs is mapped here */
  d_step { t = T; h = H }; j = 0;
  do :: j < 2 -> r = s[j];
        if :: r != 0 && r >= h ->
              do :: r >= t -> r = prev[r]; if :: r == 0 || r < h -> break :: else fi
                 :: else -> break od;
              if :: r != 0 && r >= h -> found = val[r]; goto done :: else fi;
#ifdef FIRSTSLOT
              goto absent;
#endif
           :: else fi; j++
     :: else -> break od;
absent:
#ifdef ABOVE
  if :: floor > t -> goto out :: else fi;
#else
  if :: floor > h && floor >= t -> goto out :: else fi;
#endif
done: assert(found == was[t]);
out: skip }

proctype F() { if :: floor = H :: skip fi }   /* the space is needed more */

init { atomic { isput[1] = 1; val[1] = 1; was[2] = 1; low[0] = 1; low[1] = 1;
  if :: s[0] = 1 :: s[1] = 1 fi;        /* the place before it may be vacant by now */
  if :: run W(0, 0) :: run W(0, 2) fi; run W(1, 1); run R(); run S(); run F() } }
