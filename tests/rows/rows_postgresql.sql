-- What is difficult to fill, and at the end of each kind what nobody can fill.
CREATE SCHEMA "Odd One";
CREATE TYPE mood AS ENUM ('sad','ok','ha''ppy');
CREATE TYPE "Odd One"."Kind" AS ENUM ('a','b c');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN email AS text CHECK (VALUE ~ '^[^@\s]+@[^@\s]+\.[a-z]{2,}$') NOT NULL;
CREATE DOMAIN zip AS varchar(5) CHECK (VALUE ~ '^\d{5}$');
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE EXTENSION btree_gist;
CREATE TABLE types (
  id serial PRIMARY KEY, si smallint, bi bigint, n numeric, n52 numeric(5,2), n30 numeric(3,0), r real, d double precision, b boolean,
  vc varchar(3), c1 char, c10 char(10), t text, nm name, by bytea, j json, jb jsonb, ts timestamp, tz timestamptz, ts0 timestamp(0), da date,
  ti time, tiz timetz, iv interval, u uuid, m mood, k "Odd One"."Kind", p positive, e email, z zip, pa pair, sp span, ir int4range, tr tstzrange,
  nr numrange, dr daterange, mr int4multirange, ia integer[], ta text[], ma mood[], ja jsonb[], ina inet, ci cidr, mac macaddr, bi8 bit(8), vb varbit(5), mo money,
  tv tsvector, tq tsquery, po point, li line, bo box, pth path, pg polygon, cc circle, o oid, ls pg_lsn, jp jsonpath, "q""x%d:y \ " text
);
CREATE TABLE checks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  price numeric(10,2) NOT NULL CHECK (price > 0 AND price <= 1000),
  status varchar(10) NOT NULL CHECK (status IN ('open','closed','it''s')),
  code text NOT NULL CHECK (code LIKE 'AB-%'),
  phone text CHECK (phone ~ '^\+[0-9]{6,14}$'),
  age int CHECK (age BETWEEN 18 AND 21),
  a date, b date, CHECK (a < b),
  x text, y text, CHECK (x <> y), CHECK (x IS NOT NULL OR y IS NOT NULL),
  ev int CHECK (ev % 5 = 0), trimmed text CHECK (trimmed = btrim(trimmed) AND length(trimmed) > 0),
  low text CHECK (low = lower(low)), len5 text CHECK (char_length(len5) = 5),
  js jsonb CHECK (jsonb_typeof(js) = 'object'), lvl int NOT NULL CHECK (lvl = ANY (ARRAY[10,20,30])),
  both_or int, both_and int, CHECK ((both_or IS NULL) = (both_and IS NULL)),
  arr int[] CHECK (array_length(arr, 1) = 3), CHECK (num_nonnulls(a, x) >= 1)
);
CREATE TABLE bookings (room int NOT NULL, during tsrange NOT NULL, EXCLUDE USING gist (room WITH =, during WITH &&), CHECK (NOT isempty(during)));
CREATE TABLE a (id int PRIMARY KEY, b_id int);
CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a);
ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b;
CREATE TABLE c1 (id int PRIMARY KEY, c2_id int NOT NULL);
CREATE TABLE c2 (id int PRIMARY KEY, c1_id int NOT NULL REFERENCES c1 DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE c1 ADD CONSTRAINT "C1 to c2" FOREIGN KEY (c2_id) REFERENCES c2 DEFERRABLE;
CREATE TABLE hard1 (id int PRIMARY KEY, h_id int NOT NULL);
CREATE TABLE hard2 (id int PRIMARY KEY, h_id int NOT NULL REFERENCES hard1);
ALTER TABLE hard1 ADD FOREIGN KEY (h_id) REFERENCES hard2;
CREATE TABLE tree (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), parent uuid REFERENCES tree, name text UNIQUE);
CREATE TABLE ring (id int PRIMARY KEY, next int NOT NULL REFERENCES ring);
CREATE TABLE tenant (id int PRIMARY KEY);
CREATE TABLE usr (tenant_id int REFERENCES tenant, id int, email text, PRIMARY KEY (tenant_id, id));
CREATE UNIQUE INDEX ON usr (lower(email));
CREATE TABLE doc (tenant_id int NOT NULL REFERENCES tenant, id int, owner int, editor int, PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, owner) REFERENCES usr MATCH SIMPLE, FOREIGN KEY (tenant_id, editor) REFERENCES usr);
CREATE TABLE full_ref (t int, u int, FOREIGN KEY (t, u) REFERENCES usr MATCH FULL);
CREATE TABLE profile (user_t int, user_u int, bio text, PRIMARY KEY (user_t, user_u), FOREIGN KEY (user_t, user_u) REFERENCES usr);
CREATE TABLE one_active (id serial primary key, owner int not null, active boolean not null);
CREATE UNIQUE INDEX ON one_active (owner) WHERE active;
CREATE TABLE nnd (a int, b int, UNIQUE NULLS NOT DISTINCT (a, b));
CREATE TABLE "one flag" (flag boolean PRIMARY KEY DEFAULT true CHECK (flag), v text);
CREATE TABLE part (id int NOT NULL, d date NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE partl (id int NOT NULL, k int NOT NULL) PARTITION BY LIST (k);
CREATE TABLE partl_a PARTITION OF partl FOR VALUES IN (77, 78);
CREATE TABLE gen (id int PRIMARY KEY, w int NOT NULL, h int NOT NULL, area int GENERATED ALWAYS AS (w / 10 * 2) STORED);
CREATE TABLE only_id (id int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE rejecting (id int PRIMARY KEY, n int NOT NULL);
CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n % 2 = 1 THEN RAISE EXCEPTION 'odd %', NEW.n; END IF; RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON rejecting FOR EACH ROW EXECUTE FUNCTION odd();
CREATE TABLE swallowed (id int PRIMARY KEY);
CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER t BEFORE INSERT ON swallowed FOR EACH ROW EXECUTE FUNCTION nope();
CREATE TABLE impossible (id int PRIMARY KEY CHECK (id > 5 AND id < 3));
CREATE FUNCTION luhn(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT ascii($1) % 3 = 0 $$;
CREATE TABLE opaque (id serial primary key, v text NOT NULL CHECK (luhn(v)));
CREATE TABLE "Odd One"."select" ("from" int PRIMARY KEY, "Mixed Case" text NOT NULL, "100%" int, ":colon" int, "k" "Odd One"."Kind" NOT NULL);
CREATE TABLE "Odd One".child (id int primary key, ref int REFERENCES "Odd One"."select");
CREATE TABLE iso (id char(32) PRIMARY KEY CHECK (id ~ '^[0-9a-f]{32}$'), m text CHECK (length(m) = 27 AND to_char(m::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') = m) NOT NULL UNIQUE);
CREATE TABLE smallkeys (k char(1) PRIMARY KEY, s smallint UNIQUE);
CREATE TABLE self_checked (id serial primary key, lo int NOT NULL, hi int NOT NULL, CHECK (lo < hi), CHECK (hi - lo <= 10));
CREATE TABLE enumerated (m mood PRIMARY KEY, n text);
CREATE TABLE columnless ();
