-- One of each kind of object, and everywhere texts that look like what pg_dump writes between objects.
CREATE SCHEMA other;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'ha''ppy');
COMMENT ON TYPE mood IS 'How
--
-- TOC entry 1 (class 1259 OID 1)
-- Name: object; Type: TABLE; Schema: public; Owner: -
--
it feels.';
CREATE DOMAIN positive AS integer CONSTRAINT positive_check CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE SEQUENCE loose START 10 INCREMENT 5;
CREATE FUNCTION addone(integer) RETURNS integer LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 + 1; END;
CREATE TABLE type (
  id uuid PRIMARY KEY,
  type_name text NOT NULL CONSTRAINT ck_type_name CHECK (type_name <> '')
);
CREATE TABLE zone (id serial PRIMARY KEY, x integer DEFAULT nextval('loose'));
CREATE TABLE object (
  id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_object PRIMARY KEY,
  "Name ""q""" varchar(255) NOT NULL DEFAULT 'a;

-- Name: nope; Type: TABLE; Schema: public; Owner: -
--   
x',
  escaped text DEFAULT E'it''s \\ -- $$ "',
  type uuid NOT NULL CONSTRAINT fk_object_type_type REFERENCES type (id) ON DELETE CASCADE,
  m mood DEFAULT 'ok', p positive, c pair, z integer REFERENCES zone (id),
  lowered text GENERATED ALWAYS AS (lower("Name ""q""")) STORED,
  body jsonb, created timestamptz NOT NULL DEFAULT '2020-01-01 00:00:00+00', r int4range,
  above bigint CONSTRAINT fk_object_above_object REFERENCES object (id),
  CONSTRAINT uq_object_name UNIQUE ("Name ""q""", type),
  CONSTRAINT ex EXCLUDE USING gist (r WITH &&)
);
ALTER TABLE object ALTER COLUMN body SET STATISTICS 500, ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE object ADD CONSTRAINT nv CHECK (p > 3) NOT VALID;
CREATE INDEX ix_object_body ON object USING gin (body);
CREATE UNIQUE INDEX ix_low ON object (addone(id::integer)) INCLUDE (p) WHERE p > 5;
CREATE INDEX ix_created ON object (created DESC);
ALTER TABLE object CLUSTER ON ix_created;
-- A circle: zone needs object, object needs zone.
ALTER TABLE zone ADD COLUMN owner bigint REFERENCES object (id) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON TABLE object IS 'An object; with -- dashes';
COMMENT ON COLUMN object.body IS $$line
/* not a comment */ $$;
COMMENT ON INDEX ix_low IS 'idx';
COMMENT ON CONSTRAINT nv ON object IS 'con';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
--
-- TOC entry 2 (class 1259 OID 2)
-- Name: evil; Type: TABLE; Schema: public; Owner: -
--

  NEW.created := now();   
  -- \restrict abc
  RETURN NEW;
END
$fn$;
CREATE FUNCTION count_obj() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM public.object; END;
CREATE FUNCTION first_zone() RETURNS SETOF zone LANGUAGE sql AS 'SELECT * FROM public.zone LIMIT 1';
CREATE PROCEDURE proc(a integer) LANGUAGE sql AS 'INSERT INTO public.zone DEFAULT VALUES';
CREATE AGGREGATE mysum(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TRIGGER touch BEFORE UPDATE ON object FOR EACH ROW EXECUTE FUNCTION touch();
COMMENT ON TRIGGER touch ON object IS 'trig';
ALTER TABLE object DISABLE TRIGGER touch;
CREATE VIEW b_view AS SELECT id, "Name ""q""" FROM object;
CREATE VIEW a_view AS SELECT id FROM b_view WHERE addone(1) > 0;
COMMENT ON VIEW a_view IS 'view';
CREATE MATERIALIZED VIEW mv AS SELECT id FROM a_view WITH NO DATA;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE VIEW grouped AS SELECT o.id, o."Name ""q""", count(*) FROM object o GROUP BY o.id;
CREATE VIEW around AS SELECT * FROM grouped;
ALTER TABLE object ENABLE ROW LEVEL SECURITY;
CREATE POLICY pol ON object USING (p = (SELECT max(x) FROM zone));
CREATE RULE rr AS ON INSERT TO b_view DO INSTEAD NOTHING;
CREATE TABLE part (id int NOT NULL, d date NOT NULL, z integer REFERENCES zone (id), PRIMARY KEY (id, d))
  PARTITION BY RANGE (d);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE part_default PARTITION OF part DEFAULT;
CREATE INDEX part_d ON part (d);
CREATE TRIGGER touch AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE part_a DISABLE TRIGGER touch;
CREATE TABLE aparent (x int NOT NULL, y text);
CREATE TABLE achild (z int) INHERITS (aparent);
CREATE UNLOGGED TABLE unl (x int) WITH (fillfactor = 70);
CREATE TABLE other.object (id int PRIMARY KEY, main bigint REFERENCES public.object (id));
CREATE TABLE "weird; Type: X" (id int);
CREATE TABLE "--dash" (id int);
CREATE TABLE counted (x bigint DEFAULT count_obj());
CREATE STATISTICS st ON x, y FROM aparent;
CREATE TABLE renamed_before (id int NOT NULL, "Up" int NOT NULL);
ALTER TABLE renamed_before RENAME TO renamed;
ALTER TABLE renamed RENAME COLUMN "Up" TO "Down";
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY);
INSERT INTO alembic_version VALUES ('003'), ('002b');
